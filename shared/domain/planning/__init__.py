"""Which cycles and events an instance has next, and how a plan begins and ends. Start with ``cycles.py``."""
