"""The bulk runner function."""
