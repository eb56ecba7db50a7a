"""The step runner: claim a due event, run its steps, conclude it. Start with ``loop.py``."""
