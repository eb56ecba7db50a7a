"""Outgoing calls to services, and the addresses they may not reach. Start with ``service_caller.py``."""
