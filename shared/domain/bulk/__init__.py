"""Bulk operations, and the release of instances that a paused flag has blocked. Start with ``operation.py``."""
