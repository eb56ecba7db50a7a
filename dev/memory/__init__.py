"""In-memory adapters: for tests and simulations, held honest by the contract suite."""
