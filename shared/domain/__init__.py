"""The rules of the product, as pure functions on immutable values: no input or output, no clock, no randomness.

Each package imports only from packages below it: ``bulk``, ``explain | lifecycle``, ``steps | planning``,
``instance``, ``strategy``, ``calendar | validation``, and the modules ``access``, ``errors`` and ``ids``.
Start with ``lifecycle/decide.py``.
"""
