"""The process that evaluates expressions.

Source: docs/decisions/0032-expressions-are-evaluated-by-another-process.md.
"""
