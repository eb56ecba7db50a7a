"""Pure decisions: what a strategy means, which dates a plan has, what a command comes to."""
