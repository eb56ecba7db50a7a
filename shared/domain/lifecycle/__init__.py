"""Every change of an instance: one function per command, dispatched by ``decide``. Start with ``decide.py``."""
