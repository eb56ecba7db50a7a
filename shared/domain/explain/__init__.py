"""Why an instance or event did or did not run at a given time. Start with ``instance.py``."""
