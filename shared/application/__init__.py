"""Use-cases: load, decide, commit, ring. No rules of their own."""
