"""The HTTP kit of all four dialects: gateway, routes, requests, errors, authentication. Start with ``gateway.py``."""
