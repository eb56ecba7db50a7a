"""Values that may be printed or logged, although they have a field that must not be."""

from typing import ClassVar


class Redacted:
    """For a struct whose text leaves out its ``HIDDEN`` fields. It must be the first base."""

    __slots__ = ()
    HIDDEN: ClassVar[tuple[str, ...]]
    __struct_fields__: ClassVar[tuple[str, ...]]

    def __repr__(self) -> str:
        """Return the class, and the fields that may be shown."""
        shown = [name for name in self.__struct_fields__ if name not in self.HIDDEN]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"
