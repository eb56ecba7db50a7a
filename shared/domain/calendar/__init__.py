"""Dates: zones, deltas, cron expressions, an instance's own schedule. Start with ``dates.py``."""
