"""Changes, as messages for other systems. Start with ``model.py``, then ``decide.py``."""
