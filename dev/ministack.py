"""The other engine: an emulator of the whole of AWS that deploys the template through CloudFormation.

Its packages do not go with ours, so it runs from a virtual environment of its own, which ``make e2e`` prepares.
"""

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from dev.emulator import TETHER, free_port
from dev.template import REGION
from dev.workers import ROOT

PROGRAM = ROOT / ".venv-ministack" / "bin" / "ministack"


class Ministack:
    """One emulator with nothing in it, ended with whoever started it. Every request but the root's meets IAM."""

    def __init__(self, folder: Path) -> None:
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is missing: run `make e2e`, which installs it")
        self._scratch = folder / "tmp"
        self._scratch.mkdir(parents=True)
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        read, self._tether = os.pipe()
        with (folder / "ministack.log").open("w") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", TETHER, "tether", str(PROGRAM)],
                stdin=read,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=_environment(folder, self._scratch, port),
                start_new_session=True,
            )
        os.close(read)
        if not self._is_up():
            self.stop()
            raise RuntimeError(f"ministack did not start: see {folder}/ministack.log")

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        """A client of one of its services, as the account's root, whom IAM allows everything."""
        return self.session().client(
            service,
            endpoint_url=self.endpoint,
            config=Config(
                retries={"total_max_attempts": 3, "mode": "standard"}, s3={"addressing_style": "path"}
            ),
        )

    @staticmethod
    def session() -> boto3.Session:
        """The root's."""
        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106 - the emulator's own

    def stop(self) -> None:
        """End it and the functions it runs; what they were unpacked to goes, its log stays."""
        os.close(self._tether)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _is_up(self) -> bool:
        """Whether it has begun to serve, within a minute."""
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_ministack/ready", timeout=5):  # noqa: S310 - loopback
                    return True
            except OSError:
                time.sleep(0.1)
        return False


def _environment(folder: Path, scratch: Path, port: int) -> dict[str, str]:
    """All that it sees; its functions see the same and what the template sets. Nothing of the caller's goes in."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(scratch),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        # It looks for containers to tidy up, and listens for devices; neither has anything to do with us.
        "DOCKER_HOST": f"unix://{folder}/no-docker",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
