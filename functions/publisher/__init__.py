"""The publisher function."""
