"""Carries on work on many instances."""
