"""The definition of a flow, and the parsing of settings. Start with ``model.py``, ``settings.py`` and ``parse.py``."""
