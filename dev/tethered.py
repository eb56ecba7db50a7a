"""A process that ends when this one does, even by kill -9."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Two shells: one waits for the process and ends with its status. The other one ends the process when our end of its
# standard input closes, which kill -9 does too.
_TETHER = """\
exec 3<&0
file=$1; shift
"$@" </dev/null 3<&- & child=$!
echo "$child" >"$file"
{ read -r _ <&3; kill "$child" 2>/dev/null; } & watcher=$!
exec 3<&-
wait "$child"; status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"""


class Tethered:
    """A running process with a log, and its process id, which is also in ``pid_file``."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        pid_file: Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        keep_open: Sequence[int] = (),
    ) -> None:
        pid_file.unlink(missing_ok=True)
        self._tether: int | None
        self._releasing = threading.Lock()
        read, self._tether = os.pipe()
        with log.open("a") as output:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _TETHER, "tether", str(pid_file), *command],
                stdin=read,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=environment,
                pass_fds=keep_open,
                start_new_session=True,
            )
        os.close(read)
        self.pid = self._await_pid(pid_file)

    def has_ended(self) -> bool:
        """Return whether the process has ended."""
        return self._shell.poll() is not None

    def stop(self, seconds: float) -> None:
        """End the process by SIGTERM, or by SIGKILL if it has not ended after some seconds. It may be repeated."""
        self._release()
        try:
            self._shell.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()

    def wait(self) -> int:
        """Return the exit status of the process when it has ended: 128 and the signal that ended it, if one did."""
        status = self._shell.wait()
        self._release()
        return status

    def _await_pid(self, file: Path) -> int:
        """Return the process id when the shell has written it. Raises: RuntimeError: the shell has failed."""
        while not (file.exists() and file.read_text().endswith("\n")):
            if self._shell.poll() is not None:
                self._release()
                raise RuntimeError(
                    f"the shell ended with status {self._shell.returncode} before {file} was there"
                )
            time.sleep(0.002)
        return int(file.read_text())

    def _release(self) -> None:
        """Close our end of the standard input, which ends the process if it runs."""
        # Whoever waits for the process and whoever stops it release it at the same time. The second close would hit
        # another file that has this number by then.
        with self._releasing:
            tether, self._tether = self._tether, None
        if tether is not None:
            os.close(tether)
