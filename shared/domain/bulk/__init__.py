"""One command for many instances, and the release of what a paused flag has blocked. Start with ``operation.py``."""
