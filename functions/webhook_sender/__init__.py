"""The webhook sender function."""
