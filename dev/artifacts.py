"""How big the artifacts are that ``sam build`` has made, held against what Lambda takes."""

import os
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

MAX_UNZIPPED_BYTES = 250 * 1024 * 1024
"""Lambda's limit for a function's code with its layers, in bytes."""

MAX_ZIPPED_BYTES = 50 * 1024 * 1024
"""Lambda's limit for an archive that is sent directly, in bytes."""

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What an artifact weighs, in bytes. has_bytecode: every module comes with its ``.pyc``."""

    unzipped: int
    zipped: int
    has_bytecode: bool

    @property
    def fits(self) -> bool:
        """Whether Lambda takes it, sent directly."""
        return self.unzipped <= MAX_UNZIPPED_BYTES and self.zipped <= MAX_ZIPPED_BYTES

    def __str__(self) -> str:
        """One line for people."""
        told = f"{self.unzipped / _MEGABYTE:6.1f} MB unzipped {self.zipped / _MEGABYTE:6.1f} MB zipped"
        return told + ("" if self.has_bytecode else "  no .pyc") + ("" if self.fits else "  TOO BIG")


def size(artifact: Path) -> Size:
    """The artifact's size, and that of the archive SAM would make of it."""
    files = [Path(folder) / name for folder, _, names in os.walk(artifact) for name in names]
    with TemporaryFile() as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(artifact))
        zipped = target.tell()
    compiled = {file.parent.parent / file.name.split(".")[0] for file in files if file.suffix == ".pyc"}
    return Size(
        unzipped=sum(file.stat().st_size for file in files),
        zipped=zipped,
        has_bytecode=compiled >= {file.with_suffix("") for file in files if file.suffix == ".py"},
    )


def main(built: Path) -> int:
    """One line for each function; 1 when one is too big or there is none."""
    sizes = {folder.name: size(folder) for folder in sorted(built.iterdir()) if folder.is_dir()}
    for name, found in sizes.items():
        print(f"{name:16}{found}")  # noqa: T201 - what `make build` tells
    return 0 if sizes and all(found.fits for found in sizes.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
