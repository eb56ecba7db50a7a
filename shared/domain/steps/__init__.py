"""One run of an event: which step is next, what to call, what its outcome means. Start with ``cursor.py``."""
