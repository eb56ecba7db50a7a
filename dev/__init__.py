"""The local stack: the template's functions on a laptop, with an emulator behind them. Not shipped.

Source: docs/decisions/0002-local-stack-and-its-clock.md.
"""
