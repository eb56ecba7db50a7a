"""The local stack: the template's functions on a developer's machine, with an emulator of AWS.

It is not deployed.

Source: docs/decisions/0002-local-stack-and-its-clock.md.
"""
