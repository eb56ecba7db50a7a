"""The orders dialect over HTTP."""
