"""The engine's CPU time, compared with a peer and with a bare AWS client: ``make bench``."""
