"""Lambda handlers, one folder a function: parse the envelope, one use-case, shape the reply."""
