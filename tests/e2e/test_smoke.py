"""``make smoke`` against the local stack, as against a deployment."""

from datetime import timedelta

import pytest

from dev.client import KEY, Processes, RefusedError
from dev.smoke import AHEAD, Smoke, SmokeError, main


class TestSmoke:
    """It tries a whole life of a strategy, prints each part that works, and leaves nothing behind."""

    @pytest.mark.timeout(400)
    def test_a_working_deployment_passes(
        self, processes: Processes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        processes.start_stack()
        monkeypatch.setenv("KEY", KEY)

        assert main(["--url", processes.stack.url]) == 0

        said = capsys.readouterr().out
        for works in (
            "answers",
            "saved a strategy",
            "runs at once",
            "pauses and resumes",
            "wakes up for a date",
            "removed",
        ):
            assert f"- {works}" in said, said
        assert timedelta(seconds=60) < AHEAD, "an event that is due sooner is not left to the Scheduler"
        assert processes.stack.call("GET", "/_local/clock")["started"]["wakeup events"] == 1
        left = processes.stack.call("GET", "/execution-strategy?limit=100")["items"]
        assert [one["name"] for one in left if one["name"].startswith("smoke-")] == []

    @pytest.mark.timeout(200)
    def test_without_wakeups_it_fails_and_removes_what_it_made(self, processes: Processes) -> None:
        processes.start_stack("--wakeups", "off", "--sweeper", "off")
        smoke = Smoke(processes.stack, say=lambda _: None)
        waited = 0.0

        def sleep(seconds: float) -> None:
            nonlocal waited
            waited += seconds
            if waited > 5:
                raise SmokeError("waited long enough")

        smoke.sleep = sleep
        with pytest.raises(SmokeError, match="long enough"):
            smoke.run()

        listed = processes.stack.call("GET", "/execution-instance?limit=10")["items"]
        assert [one["status"] for one in listed] == ["CANCELED"]
        left = processes.stack.call("GET", "/execution-strategy?limit=100")["items"]
        assert [one for one in left if one["name"] == smoke.name] == []

    @pytest.mark.timeout(200)
    def test_a_wrong_key_is_said_in_one_line(
        self, processes: Processes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        processes.start_stack()
        monkeypatch.setenv("KEY", "dev.wrong")

        assert main(["--url", processes.stack.url]) == 1

        assert capsys.readouterr().err.startswith("make smoke: 401")
        with pytest.raises(RefusedError):
            Smoke(processes.stack, say=lambda _: None, name="x" * 500).run()


@pytest.mark.parametrize(
    ("url", "key"), [("", "a.b"), ("ftp://x", "a.b"), ("https://x", ""), ("https://x", "ab")]
)
def test_missing_arguments_are_named(
    url: str, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KEY", key)

    assert main(["--url", url]) == 2

    assert "URL=" in capsys.readouterr().err
