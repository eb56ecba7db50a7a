"""Use cases: load, decide, commit, schedule the wakeup. The rules are in ``shared/domain``."""
