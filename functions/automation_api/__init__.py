"""The automation api function."""
