"""Golden items: items that a release stored, frozen, and read by today's code.

``catalogue.py`` lists them. Each is a value and the write by which a store stores it; ``schema-<n>/`` has the items of
the tables after that write, as DynamoDB has them. The tests load the files into empty tables and read them with the
stores. If a value is changed here, it no longer equals the value in its file, so entries are added and never changed.

``make golden`` writes the files that are missing. Source: docs/decisions/0051-what-is-stored-outlives-a-release.md.
"""
