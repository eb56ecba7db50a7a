"""Lambda handlers, one folder for each function: parse the event, call one use case, shape the reply."""
