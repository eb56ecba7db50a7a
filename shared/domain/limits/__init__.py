"""Limits of services: how many calls all runners of an account send to one origin. Start in ``grant.py``."""
