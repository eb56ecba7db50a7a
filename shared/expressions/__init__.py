"""User logic: CEL expressions and templates, compiled, checked and evaluated under limits."""
