"""The core api function."""
