"""HTTP in, domain calls out. The words of a wire contract stay in its dialect's package."""
