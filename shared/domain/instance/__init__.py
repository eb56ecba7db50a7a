"""The aggregate: an instance with its unfinished events, and what a command returns. Start with ``model.py``."""
