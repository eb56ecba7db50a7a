"""Compares the sizes of the artifacts that ``sam build`` made with Lambda's limits."""

import os
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

MAX_UNZIPPED_BYTES = 250 * 1024 * 1024
"""Lambda's limit for a function's code with its layers, in bytes."""

MAX_ZIPPED_BYTES = 50 * 1024 * 1024
"""Lambda's limit for an archive that is uploaded directly, in bytes."""

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of an artifact in bytes. With ``has_bytecode``, every module has its ``.pyc``."""

    unzipped: int
    zipped: int
    has_bytecode: bool

    @property
    def fits(self) -> bool:
        """Return whether Lambda accepts the artifact as a direct upload."""
        return self.unzipped <= MAX_UNZIPPED_BYTES and self.zipped <= MAX_ZIPPED_BYTES

    def __str__(self) -> str:
        """Return the line that ``make build`` prints."""
        line = f"{self.unzipped / _MEGABYTE:6.1f} MB unzipped {self.zipped / _MEGABYTE:6.1f} MB zipped"
        return line + ("" if self.has_bytecode else "  no .pyc") + ("" if self.fits else "  TOO BIG")


def size(artifact: Path) -> Size:
    """Return the size of an artifact, and of the archive that SAM would make of it."""
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
    """Print one line for each function. Return 1 if one is too big or there are none."""
    sizes = {folder.name: size(folder) for folder in sorted(built.iterdir()) if folder.is_dir()}
    for name, artifact in sizes.items():
        print(f"{name:16}{artifact}")  # noqa: T201 - the output of `make build`
    return 0 if sizes and all(artifact.fits for artifact in sizes.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
