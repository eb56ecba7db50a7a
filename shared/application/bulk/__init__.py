"""Bulk operations and release jobs: select, start, process in batches. Start with ``worker.py``."""
