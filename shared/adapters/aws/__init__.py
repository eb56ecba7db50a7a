"""A lean client of AWS's services: JSON in, JSON out. Start reading at ``client.py``."""
