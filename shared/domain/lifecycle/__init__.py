"""Every change of an instance: one function a command, dispatched by ``decide``. Start with ``decide.py``."""
