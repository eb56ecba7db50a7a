"""Limits of services: how many calls a second all runners of an account send to one origin. Start in ``grant.py``."""
