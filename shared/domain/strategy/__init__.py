"""A definition of a flow, and how settings are read and checked. Start with ``model.py``, then ``parse.py``."""
