"""The process api function."""
