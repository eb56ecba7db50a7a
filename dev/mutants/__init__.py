"""Bugs put in by hand, and whether the tests notice: ``make mutants``. Start with ``__main__.py``."""
