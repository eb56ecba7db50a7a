"""Adapters: the ports of the application on real things."""
