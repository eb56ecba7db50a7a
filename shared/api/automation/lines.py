"""The lines of a message about a definition: the first problems, and the number of the others."""

from collections.abc import Iterable, Iterator

from shared.domain.errors import MAX_PROBLEMS, shortened

MAX_LINE_BYTES = 500
"""The largest line, as JSON: a problem of a step, for scripts with the source line and a caret."""


class Lines:
    """Collects lines. The first ``MAX_PROBLEMS`` are kept and cut if they are long; the others are counted."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        """Collect some lines."""
        self._kept: list[str] = []
        self._left_out = 0
        self.extend(lines)

    def __bool__(self) -> bool:
        """Return whether there is a line."""
        return bool(self._kept)

    def __iter__(self) -> Iterator[str]:
        """Yield the lines that are kept, and last, if there are more, their number."""
        yield from self._kept
        if self._left_out:
            yield f"And {self._left_out} more."

    def append(self, line: str) -> None:
        """Keep a line, or count it if there are enough."""
        if len(self._kept) < MAX_PROBLEMS:
            self._kept.append(shortened(line, MAX_LINE_BYTES))
        else:
            self._left_out += 1

    def extend(self, lines: Iterable[str]) -> None:
        """Keep or count several lines."""
        for line in lines:
            self.append(line)
