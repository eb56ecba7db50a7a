"""Planning: the next cycles and events of an instance, and the begin and end of a plan. Start with ``cycles.py``."""
