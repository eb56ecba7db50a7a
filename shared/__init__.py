"""Everything the functions share, in rings: expressions, domain, application, adapters, api, bootstrap."""

__version__ = "0.1.0"
