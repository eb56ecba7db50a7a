"""What the engine costs in CPU time, side by side with a peer and with the barest of clients: ``make bench``."""
