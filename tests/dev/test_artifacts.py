"""The sizes of the artifacts of ``make build``, against Lambda's limits."""

from pathlib import Path

import pytest

from dev import artifacts
from dev.artifacts import LAYER, main, size


def built(folder: Path, **files: int) -> Path:
    """Return a folder with a file of so many bytes in each artifact."""
    for name, length in files.items():
        (folder / name).mkdir()
        (folder / name / "data").write_bytes(b"x" * length)
    return folder


class TestLimits:
    """Lambda bounds an archive, and the unpacked function together with its layer."""

    def test_a_layer_and_small_functions_fit(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(built(tmp_path, **{LAYER: 10, "CoreApi": 20})) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["CoreApi", LAYER]

    @pytest.mark.parametrize(("layer", "status"), [(60, 0), (61, 1)])
    def test_a_function_and_its_layer_are_unpacked_together(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: int, status: int
    ) -> None:
        monkeypatch.setattr(artifacts, "MAX_UNZIPPED_BYTES", 100)
        built(tmp_path, **{LAYER: layer, "CoreApi": 40})

        assert size(tmp_path / "CoreApi").fits
        assert size(tmp_path / LAYER).fits
        assert main(tmp_path) == status

    def test_an_archive_that_is_too_large_does_not_fit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        built(tmp_path, **{LAYER: 10, "CoreApi": 20})
        monkeypatch.setattr(artifacts, "MAX_ZIPPED_BYTES", size(tmp_path / "CoreApi").zipped - 1)

        assert main(tmp_path) == 1

    @pytest.mark.parametrize("missing", [LAYER, "CoreApi"])
    def test_nothing_may_be_missing(self, tmp_path: Path, missing: str) -> None:
        built(tmp_path, **dict.fromkeys({LAYER, "CoreApi"} - {missing}, 1))

        assert main(tmp_path) == 1
