"""The aggregate: an instance with its unfinished events, and the results of commands. Start with ``model.py``."""
