"""The wire: requests in, replies out. Foreign words stop here."""
