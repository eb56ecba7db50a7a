"""The other engine: an emulator of all of AWS that deploys the template through CloudFormation.

Its packages conflict with ours, so it runs in a virtual environment of its own, which ``make e2e`` creates.
"""

import os
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from dev.emulator import free_port
from dev.template import REGION
from dev.tethered import Tethered
from dev.workers import ROOT

PROGRAM = ROOT / ".venv-ministack" / "bin" / "ministack"


class Ministack:
    """An empty emulator that ends with its parent process.

    It checks IAM for every request except the root user's.
    """

    def __init__(self, folder: Path) -> None:
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is missing: run `make e2e`, which installs it")
        self._scratch = folder / "tmp"
        self._scratch.mkdir(parents=True)
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._process = Tethered(
            [str(PROGRAM)],
            log=folder / "ministack.log",
            pid_file=folder / "ministack.pid",
            cwd=folder,
            environment=_environment(folder, self._scratch, port),
        )
        if not self._is_up():
            self.stop()
            raise RuntimeError(f"ministack did not start: see {folder}/ministack.log")

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        """Return a client for a service as the root user, who may do everything."""
        return self.session().client(
            service,
            endpoint_url=self.endpoint,
            config=Config(
                retries={"total_max_attempts": 3, "mode": "standard"}, s3={"addressing_style": "path"}
            ),
        )

    @staticmethod
    def session() -> boto3.Session:
        """Return a session of the root user."""
        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106 - the emulator's own

    def stop(self) -> None:
        """Stop the emulator and its functions. Unpacked code is deleted, the log is kept."""
        self._process.stop(30)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _is_up(self) -> bool:
        """Return whether it begins to serve within a minute."""
        until = time.monotonic() + 60
        while time.monotonic() < until and not self._process.has_ended():
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_ministack/ready", timeout=5):  # noqa: S310 - loopback
                    return True
            except OSError:
                time.sleep(0.1)
        return False


def _environment(folder: Path, scratch: Path, port: int) -> dict[str, str]:
    """Return all environment variables of the emulator.

    Its functions get these and the template's, and none of ours.
    """
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
        # Else it would look for containers to remove, and listen for devices and for SFTP.
        "DOCKER_HOST": f"unix://{folder}/no-docker",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
