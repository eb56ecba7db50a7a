"""Everything the functions share, in rings: expressions, domain, application, adapters, api, bootstrap."""
