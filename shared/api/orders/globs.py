"""Patterns with ``*`` (any text) and ``?`` (any character)."""


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is of the whole text. It takes at most as many steps as pattern times text is long."""
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
