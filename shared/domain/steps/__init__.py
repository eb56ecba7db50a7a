"""One run of an event: the next step, its call, and its outcome. Start with ``cursor.py``."""
