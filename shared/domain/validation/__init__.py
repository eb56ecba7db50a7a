"""Validation of JSON values by JTD (RFC 8927) and JSON Schema, under limits. Start with ``schema.py``."""
