"""Counts the round trips and capacity units of AWS calls by the published rules."""
