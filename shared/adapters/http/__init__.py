"""Outgoing calls to services, and where they may not go. Start with ``service_caller.py``."""
