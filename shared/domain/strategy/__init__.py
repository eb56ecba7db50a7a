"""A definition of a flow, and how settings are read. Start with ``model.py``, ``settings.py`` and ``parse.py``."""
