"""Patterns with ``*`` (any text) and ``?`` (any character)."""


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern matches the whole text, in at most pattern times text steps."""
    # Not a regular expression: patterns come from clients, and some would backtrack exponentially.
    at, star, resume = 0, -1, 0
    place = 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[place]):
            at += 1
            place += 1
        elif star >= 0:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")
