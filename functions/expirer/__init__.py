"""The expirer function."""
