"""Compares the sizes of the artifacts and the layer that ``sam build`` made with Lambda's limits."""

import hashlib
import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

MAX_UNZIPPED_BYTES = 250 * 1024 * 1024
"""Lambda's limit for a function's code with its layer, in bytes."""

MAX_ZIPPED_BYTES = 50 * 1024 * 1024
"""Lambda's limit for an archive that is uploaded directly, in bytes."""

LAYER = "Libraries"
"""The logical id of the layer."""

_MEGABYTE = 1024 * 1024
_HEADERS_BYTES, _END_BYTES = 30 + 46, 22
# The functions share almost all files, so each is compressed once for all artifacts.
_deflated: dict[bytes, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of an artifact in bytes. With ``has_bytecode``, every module has its ``.pyc``."""

    unzipped: int
    zipped: int
    has_bytecode: bool

    @property
    def fits(self) -> bool:
        """Return whether Lambda accepts it as a direct upload."""
        return self.unzipped <= MAX_UNZIPPED_BYTES and self.zipped <= MAX_ZIPPED_BYTES

    def fits_with(self, layer: "Size") -> bool:
        """Return whether Lambda accepts the artifact of a function with this layer."""
        return self.fits and layer.fits and self.unzipped + layer.unzipped <= MAX_UNZIPPED_BYTES

    def __str__(self) -> str:
        """Return the line that ``make build`` prints."""
        line = f"{self.unzipped / _MEGABYTE:6.1f} MB unzipped {self.zipped / _MEGABYTE:6.1f} MB zipped"
        return line + ("" if self.has_bytecode else "  no .pyc") + ("" if self.fits else "  TOO BIG")


def size(artifact: Path) -> Size:
    """Return the size of an artifact, and of the archive that SAM would make of it."""
    files = [Path(folder) / name for folder, _, names in os.walk(artifact) for name in names]
    # ``pkg/__pycache__/mod.cpython-313.pyc`` belongs to ``pkg/mod.py``.
    compiled = {file.parent.parent / file.name.split(".")[0] for file in files if file.suffix == ".pyc"}
    return Size(
        unzipped=sum(file.stat().st_size for file in files),
        zipped=_END_BYTES + sum(_zipped(file, file.relative_to(artifact)) for file in files),
        has_bytecode=compiled >= {file.with_suffix("") for file in files if file.suffix == ".py"},
    )


def _zipped(file: Path, name: Path) -> int:
    """Return the bytes of a file in a zip archive: its content, its two headers, and its name in each."""
    content = file.read_bytes()
    digest = hashlib.sha256(content).digest()
    if digest not in _deflated:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        _deflated[digest] = len(deflate.compress(content)) + len(deflate.flush())
    return _deflated[digest] + _HEADERS_BYTES + 2 * len(str(name).encode())


def main(built: Path) -> int:
    """Print one line for the layer and for each function. Return 1 if one is too big or missing."""
    sizes = {folder.name: size(folder) for folder in sorted(built.iterdir()) if folder.is_dir()}
    for name, artifact in sizes.items():
        print(f"{name:16}{artifact}")  # noqa: T201 - the output of `make build`
    layer = sizes.pop(LAYER, None)
    return 0 if layer and sizes and all(artifact.fits_with(layer) for artifact in sizes.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
