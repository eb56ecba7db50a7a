"""In-memory adapters for tests and simulations. The contract tests compare them with the real ones."""
