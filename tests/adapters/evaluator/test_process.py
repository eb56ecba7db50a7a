"""The process that evaluates: its replies, its limits, and its end."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from shared.adapters.evaluator.process import (
    NO_ANSWER,
    START_COST_SECONDS,
    TOO_MUCH_MEMORY,
    TOO_MUCH_TIME,
    ProcessEvaluator,
    _started,
    command_of,
)
from shared.expressions import Breach, Reply, ResultType, VariableType
from shared.expressions.protocol import (
    check_request,
    evaluation_request,
    expression_line,
    read_problem,
    read_values,
)
from tests.programs import output_of

VARIABLES = {"name": VariableType.STRING, "needle": VariableType.STRING, "numbers": VariableType.ANY}
ROOT = Path(__file__).parents[3]
NUMBERS = json.dumps(list(range(5_000)))
# It compares a thousand characters at nearly every place of the name.
LONG = "numbers.all(x, numbers.all(y, !name.contains(needle)))"
FORGETFUL = "numbers.map(x, x)"


def evaluator(command: Sequence[str] | None = None, **options: float) -> ProcessEvaluator:
    return ProcessEvaluator(seconds=time.monotonic, environment=os.environ, command=command, **options)


@pytest.fixture
def process() -> Iterator[ProcessEvaluator]:
    chosen = evaluator()
    yield chosen
    chosen.close()


def request(source: str, context: str = "{}") -> bytes:
    line = expression_line(source, variables=VARIABLES, returns=ResultType.ANY)
    return evaluation_request(f"[{context},{{}}]".encode(), [line])


def value(answer: Reply | Breach) -> object:
    assert isinstance(answer, Reply)
    return read_values(answer.payload)[0]


def long_context(numbers: int) -> str:
    return json.dumps(
        {"numbers": list(range(numbers)), "name": "x" * 50_000, "needle": "x" * 1_000 + "y" + "x" * 1_000}
    )


def pid_of(process: ProcessEvaluator) -> int:
    worker = process._worker
    assert worker is not None
    return worker.process.pid


class TestReplies:
    """Requests are answered one after another by one process."""

    def test_a_value_is_the_reply(self, process: ProcessEvaluator) -> None:
        assert value(process.answer(request("1 + 1"), seconds=1)) == 2

    def test_the_process_answers_many_requests(self, process: ProcessEvaluator) -> None:
        first = value(process.answer(request("name + '!'", '{"name":"a"}'), seconds=1)), pid_of(process)
        second = value(process.answer(request("name + '!'", '{"name":"b"}'), seconds=1)), pid_of(process)

        assert [first[0], second[0]] == ["a!", "b!"]
        assert first[1] == second[1]

    def test_a_check_is_answered(self, process: ProcessEvaluator) -> None:
        line = expression_line("cicle", variables=VARIABLES, returns=ResultType.ANY)
        answer = process.answer(check_request(line), seconds=1)

        assert isinstance(answer, Reply)
        found = read_problem(answer.payload)
        assert found is not None
        assert found.rule == "undeclared"

    def test_requests_and_replies_may_be_larger_than_a_pipe(self, process: ProcessEvaluator) -> None:
        text = "é" * 100_000

        assert value(process.answer(request("name", json.dumps({"name": text})), seconds=1)) == text

    def test_the_time_it_took_is_reported(self, process: ProcessEvaluator) -> None:
        answer = process.answer(request("1 + 1"), seconds=1)

        assert isinstance(answer, Reply)
        assert 0 < answer.seconds < 1

    def test_threads_wait_for_each_other(self, process: ProcessEvaluator) -> None:
        found: list[object] = []

        def ask(number: int) -> None:
            source = request(f"{number} + 0")
            found.extend((number, value(process.answer(source, seconds=1))) for _ in range(20))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(found) == 80
        assert all(pair[0] == pair[1] for pair in found if isinstance(pair, tuple))


class TestLimits:
    """If a request takes too much time or memory, its process ends, and the next request has a new process."""

    def test_processor_time_is_limited(self, process: ProcessEvaluator) -> None:
        answer = process.answer(request(LONG, long_context(99)), seconds=0.1)

        assert answer == Breach(TOO_MUCH_TIME, 0.1 + START_COST_SECONDS)
        assert value(process.answer(request("1 + 1"), seconds=1)) == 2

    def test_the_time_of_earlier_requests_does_not_count(self, process: ProcessEvaluator) -> None:
        total = 0.0
        while total < 0.5:
            answer = process.answer(request(LONG, long_context(2)), seconds=0.5)
            assert value(answer) is True
            total += answer.seconds

    def test_memory_is_limited(self, process: ProcessEvaluator) -> None:
        answer = process.answer(request(FORGETFUL, f'{{"numbers":{NUMBERS}}}'), seconds=5)

        assert answer == Breach(TOO_MUCH_MEMORY, START_COST_SECONDS)
        assert value(process.answer(request("1 + 1"), seconds=1)) == 2

    def test_memory_is_refused_for_good_only_by_a_new_process(self, process: ProcessEvaluator) -> None:
        # Earlier requests may have taken the memory.
        process.answer(request("1 + 1"), seconds=1)
        answer = process.answer(request(FORGETFUL, f'{{"numbers":{NUMBERS}}}'), seconds=5)

        assert answer == Breach(TOO_MUCH_MEMORY, 2 * START_COST_SECONDS)

    def test_a_process_that_does_not_answer_is_ended(self) -> None:
        silent = evaluator(_python("import time; time.sleep(60)"), wait_seconds=-9.7)

        assert silent.answer(request("1"), seconds=0.1) == Breach(TOO_MUCH_TIME, 0.1 + START_COST_SECONDS)
        assert silent._worker is None

    def test_a_process_that_does_not_read_is_ended(self) -> None:
        deaf = evaluator(_python("import time; time.sleep(60)"), wait_seconds=-9.7)
        large = request("name", json.dumps({"name": "x" * 200_000}))

        assert deaf.answer(large, seconds=0.1) == Breach(TOO_MUCH_TIME, 0.1 + START_COST_SECONDS)

    def test_neither_files_nor_core_dumps_are_written(self, process: ProcessEvaluator) -> None:
        process.answer(request("1"), seconds=1)
        limits = Path(f"/proc/{pid_of(process)}/limits").read_text()

        for name in ("Max file size", "Max core file size"):
            assert re.search(rf"^{name} +0 +0 ", limits, re.MULTILINE)


class TestStrangeParents:
    """The limits hold whatever the process inherits."""

    def test_an_ignored_signal_and_a_lower_limit_are_inherited(self) -> None:
        code = (
            "import resource, signal; signal.signal(signal.SIGPROF, signal.SIG_IGN);"
            "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF});"
            "resource.setrlimit(resource.RLIMIT_AS, (90_000_000, 90_000_000));"
        )
        strange = evaluator(_python(code + command_of(sys.path)[-1]))

        assert value(strange.answer(request("1 + 1"), seconds=1)) == 2
        assert strange.answer(request(LONG, long_context(99)), seconds=0.1) == Breach(
            TOO_MUCH_TIME, 0.1 + START_COST_SECONDS
        )
        strange.close()

    def test_without_proc_memory_is_not_limited(self, tmp_path: Path) -> None:
        code = (
            "import sys; sys.path[:] = {path!r}; from pathlib import Path; import resource;"
            "from shared.adapters.evaluator.worker import limit_process;"
            "limit_process(Path({missing!r}));"
            "assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY"
        )
        command = code.format(path=sys.path, missing=str(tmp_path / "statm"))

        subprocess.run(_python(command), check=True)  # noqa: S603 - our own code


class TestEndFromOutside:
    """A process that something else has ended is replaced, and the request is answered once more."""

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
    def test_a_killed_process_is_replaced(self, process: ProcessEvaluator, how: signal.Signals) -> None:
        process.answer(request("1"), seconds=1)
        before = pid_of(process)
        os.kill(before, how)
        os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
        answer = process.answer(request("2"), seconds=1)

        assert value(answer) == 2
        assert isinstance(answer, Reply)
        assert answer.seconds >= START_COST_SECONDS
        assert pid_of(process) != before

    def test_an_interrupt_of_the_whole_group_does_not_end_it(self, process: ProcessEvaluator) -> None:
        process.answer(request("1"), seconds=1)
        before = pid_of(process)
        os.kill(before, signal.SIGINT)

        assert value(process.answer(request("2"), seconds=1)) == 2
        assert pid_of(process) == before

    @pytest.mark.parametrize("code", ["pass", "import sys; sys.exit(3)", "import os; os.write(1, b'half')"])
    def test_a_process_that_ends_without_a_reply_is_tried_twice(self, code: str) -> None:
        assert evaluator(_python(code)).answer(request("1"), seconds=1) == Breach(
            NO_ANSWER, 2 * START_COST_SECONDS
        )

    def test_a_process_that_cannot_start_is_an_error(self) -> None:
        missing = evaluator(["/nonexistent/python"])

        assert missing.answer(request("1"), seconds=1) == Breach(NO_ANSWER, 2 * START_COST_SECONDS)

    def test_a_request_that_is_interrupted_leaves_no_reply_behind(self) -> None:
        instants = iter([0.0])

        def interrupted() -> float:
            try:
                return next(instants)
            except StopIteration:
                raise KeyboardInterrupt from None

        process = ProcessEvaluator(seconds=interrupted, environment=os.environ)
        with pytest.raises(KeyboardInterrupt):
            process.answer(request("1"), seconds=1)

        assert process._worker is None

    def test_a_fork_starts_its_own_process(
        self, process: ProcessEvaluator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process.answer(request("1"), seconds=1)
        worker = process._worker
        assert worker is not None
        monkeypatch.setattr(process, "_owner", 1)

        assert value(process.answer(request("2"), seconds=1)) == 2
        assert pid_of(process) != worker.process.pid
        assert worker.process.poll() is None
        worker.end()


class TestIsolation:
    """The process has nothing that a broken library could use."""

    def test_the_process_has_no_environment(self) -> None:
        environment = {"PEPPER": "secret", "AWS_SECRET_ACCESS_KEY": "secret", "LD_LIBRARY_PATH": "/lib"}
        process = ProcessEvaluator(seconds=time.monotonic, environment=environment)
        process.answer(request("1"), seconds=1)

        assert Path(f"/proc/{pid_of(process)}/environ").read_bytes() == b"LD_LIBRARY_PATH=/lib\0"
        process.close()

    def test_the_process_has_no_open_files_but_its_pipes(self, process: ProcessEvaluator) -> None:
        with Path(__file__).open() as file:
            os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - it has no name
            process.answer(request("1"), seconds=1)
        targets = {str(link.readlink()) for link in Path(f"/proc/{pid_of(process)}/fd").iterdir()}

        assert {target.partition(":")[0] for target in targets} == {"pipe", "/dev/null"}

    def test_the_paths_of_the_process_are_absolute(self) -> None:
        assert f"{str(ROOT)!r}" in command_of([str(ROOT)])[-1]
        assert repr(str(Path.cwd())) in command_of([""])[-1]


class TestEnd:
    """The process ends with its function, and leaves no zombie."""

    def test_closing_ends_it(self, process: ProcessEvaluator) -> None:
        process.answer(request("1"), seconds=1)
        pid = pid_of(process)
        process.close()
        process.close()

        assert not Path(f"/proc/{pid}").exists()

    def test_closing_kills_a_process_that_does_not_end(self) -> None:
        stubborn = evaluator(_python("import time; time.sleep(60)"))
        stubborn._worker = _started(stubborn._command, {})
        pid = pid_of(stubborn)
        stubborn.close()

        assert not Path(f"/proc/{pid}").exists()

    def test_the_end_of_the_function_ends_it(self) -> None:
        code = (
            "import os, sys, time; sys.path.insert(0, {root!r});"
            "from shared.adapters.evaluator.process import ProcessEvaluator;"
            "p = ProcessEvaluator(seconds=time.monotonic, environment={{}});"
            "p.answer(b'[{{}},{{}}]', seconds=1); print(p._worker.process.pid, flush=True); {end}"
        )
        for end in ("pass", "os._exit(0)"):
            pid = int(output_of([sys.executable, "-c", code.format(root=str(ROOT), end=end)]))
            deadline = time.monotonic() + 10
            while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not Path(f"/proc/{pid}").exists(), end

    def test_a_lost_evaluator_leaves_no_warning(self) -> None:
        process = evaluator()
        process.answer(request("1"), seconds=1)
        process.close()
        del process
        gc.collect()


def _python(code: str) -> Sequence[str]:
    return (sys.executable, "-I", "-S", "-c", code)
