"""The step runner function."""
