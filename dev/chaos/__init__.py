"""The local stack under faults, in real time: ``make chaos``."""
