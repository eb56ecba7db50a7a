"""The local stack as a developer uses it: guarded against web pages, and its functions invoked one by one."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dev.client import STACK_FOLDER, Api, Processes, advance, example
from dev.emulator import free_port
from dev.history_reader import HistoryReader
from dev.invoke import samples
from dev.local_functions import FILE, SECRETS, read
from dev.template import Template
from dev.workers import ROOT
from tests.e2e.feed import await_that, sent_events
from tests.e2e.gym import now_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(450)]

BRIDGE = "127.0.0.2"
"""Stands for the address of Docker's bridge."""

STEP_RUNNER = "ritornello-local-step-runner"

PATHS = (
    ("GET", "/_local/clock"),
    ("POST", "/_local/clock"),
    ("POST", "/_local/clock/sleep"),
    ("POST", "/_local/wakeup"),
    ("GET", "/_local/events"),
    ("GET", "/_local/processes"),
    ("GET", "/_local/database"),
    ("GET", f"/2015-03-31/functions/{STEP_RUNNER}/configuration"),
    ("POST", f"/2015-03-31/functions/{STEP_RUNNER}/invocations"),
    ("POST", "/schedules/one"),
    ("POST", "/_aws/bus"),
    ("PUT", "/_aws/bucket/one"),
    ("POST", "/_aws/emulator/roto-api/reset"),
    ("GET", "/execution-strategy"),
    ("DELETE", "/queue"),
    ("GET", "/docs"),
)

RESOLVE = """
import json, sys
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
template, variables, name = sys.argv[1:]
provider = SamFunctionProvider(SamLocalStackProvider.get_stacks(template)[0])
values = json.load(open(variables))
runner = LocalLambdaRunner(None, provider, ".", ".", aws_region="us-east-1", env_vars_values=values)
function = provider.get(name)
print(json.dumps({"code": function.codeuri, "environment": runner._make_env_vars(function).resolve()}))
"""
"""Prints the code and the environment that SAM's command line would give to a container, computed by its own code."""

CALL = """
import importlib, json, sys
from tests.functions.contexts import Context
handler = importlib.import_module(sys.argv[1]).lambda_handler
answer = handler(json.load(open(sys.argv[2])), Context())
print("ANSWER " + json.dumps(answer))
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Return a stack that runs nothing by itself, so that a function runs only if a test invokes it."""
    folder = tmp_path_factory.mktemp("local")
    running = Processes(folder, downstream_port=free_port(), stack_port=free_port())
    try:
        running.start_downstream()
        running.start_stack(
            *("--start-at", "2026-01-31T12:00:00Z", "--wakeups", "off", "--sweeper", "off"),
            *("--containers-at", BRIDGE),
        )
        water = example("water-filter-refill", running.downstream)
        running.stack.call("POST", "/execution-strategy", water)
        yield running
    finally:
        running.stop()


def sent(
    url: str, method: str, path: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Send a request, and return the status and the body of the answer."""
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        client.request(method, path, body=body, headers=dict(headers or {}))
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def invoked(stack: Processes, *options: str) -> subprocess.CompletedProcess[str]:
    """Run ``make invoke`` with options, without make."""
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "dev.invoke", *options],
        env={**os.environ, "STATE_DIR": str(stack.folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def answer_of(stack: Processes, function: str, file: Path | None = None) -> Any:
    """Return the answer of a function to its sample, or to another file."""
    options = ["--event", str(file)] if file else []
    ended = invoked(stack, "--function", function, *options)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


class TestOtherSites:
    """Requests from pages of other sites are refused, over real sockets."""

    @pytest.mark.parametrize(("method", "path"), PATHS)
    def test_a_foreign_host_or_origin_is_refused(self, stack: Processes, method: str, path: str) -> None:
        url = stack.stack.url
        port = urlsplit(url).port
        for headers in (
            {"Host": "evil.example"},
            {"Host": f"evil.example:{port}"},
            {"Host": "127.0.0.1:1"},
            {"Origin": "http://evil.example"},
            {"Origin": f"http://localhost:{port}"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            status, body = sent(url, method, path, headers=headers)
            assert (status, list(json.loads(body))) == (403, ["message"]), headers

    def test_programs_on_this_machine_are_served(self, stack: Processes) -> None:
        url = stack.stack.url
        port = urlsplit(url).port
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"{BRIDGE}:{port}"):
            assert sent(url, "GET", "/_local/clock", headers={"Host": host})[0] == 200
            assert (
                sent(url, "GET", "/_local/clock", headers={"Host": host, "Origin": f"http://{host}"})[0]
                == 200
            )
            assert sent(url, "GET", "/execution-strategy", headers={"Host": host})[0] == 401

    def test_a_name_that_was_not_given_is_no_container(self, stack: Processes) -> None:
        port = urlsplit(stack.stack.url).port
        headers = {"Host": f"host.docker.internal:{port}"}
        status, _ = sent(stack.stack.url, "GET", "/_local/clock", headers=headers)

        assert status == 403


class TestSecrets:
    """No answer has the pepper or the settings key; only the owner of the state can read them."""

    @pytest.mark.parametrize(("method", "path"), [found for found in PATHS if found[0] == "GET"])
    def test_no_answer_has_a_secret(self, stack: Processes, method: str, path: str) -> None:
        file = stack.folder / STACK_FOLDER / FILE
        secrets = [read(file).functions["CoreApi"].environment[name] for name in SECRETS]
        assert all(len(secret) > 20 for secret in secrets)
        if path == "/_local/events":
            text = json.dumps([message for _, message in sent_events(stack.stack)])
        else:
            text = sent(stack.stack.url, method, path)[1].decode()

        assert [secret for secret in secrets if secret in text] == []
        assert not any(f'"{name}"' in text for name in SECRETS)

    def test_only_the_owner_can_read_the_file(self, stack: Processes) -> None:
        assert (stack.folder / STACK_FOLDER / FILE).stat().st_mode & 0o777 == 0o600
        assert (stack.folder / STACK_FOLDER).stat().st_mode & 0o777 == 0o700

    def test_an_unknown_function_is_not_found(self, stack: Processes) -> None:
        status, body = sent(stack.stack.url, "GET", "/2015-03-31/functions/none/configuration")

        assert (status, json.loads(body)) == (404, {"Message": "Function not found: none"})


class TestKeys:
    """`make key LOCAL=` writes a key although no answer has the pepper."""

    def test_a_new_key_opens_the_api(self, stack: Processes) -> None:
        made = subprocess.run(  # noqa: S603 - our own program
            [
                *(sys.executable, "-m", "dev.key", "--account", "acme", "--role", "admin"),
                *("--local", stack.stack.url),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        for token, status in ((made.stdout.strip(), 200), (f"{made.stdout.strip()}x", 401)):
            headers = {"Authorization": f"Bearer {token}"}
            assert sent(stack.stack.url, "GET", "/execution-strategy", b"", headers)[0] == status


class TestTheClock:
    """A request that cannot be used is 400, and the clock stays where it is."""

    def test_a_backward_date(self, stack: Processes) -> None:
        before = now_of(stack.stack)
        status, body = sent(stack.stack.url, "POST", "/_local/clock", b'{"to": "2026-01-31T11:00:00Z"}')

        answer = json.loads(body)
        assert (status, [problem["pointer"] for problem in answer["problems"]]) == (400, ["/to"])
        assert answer["problems"][0]["message"].startswith("must not be before the stack's clock")
        assert answer["message"] == f"/to: {answer['problems'][0]['message']}"
        assert 0 <= (now_of(stack.stack) - before).total_seconds() < 60

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"advance": {"days": -1}}', b'{"at": 1}'])
    def test_a_bad_body(self, stack: Processes, body: bytes) -> None:
        status, answer = sent(stack.stack.url, "POST", "/_local/clock", body)

        assert status == 400
        assert json.loads(answer)["problems"]

    def test_a_forward_date_still_works(self, stack: Processes) -> None:
        to = "2026-01-31T12:30:00+00:00"

        assert advance(stack.stack, to)["now"] >= "2026-01-31T12:30:00"


class TestInvoke:
    """`make invoke` gives each sample to its function, and each gets the answer that it is for."""

    def test_every_sample_gets_its_answer(self, stack: Processes) -> None:
        tried = set()

        def answer(function: str, file: Path | None = None) -> Any:
            tried.add(function)
            return answer_of(stack, function, file)

        created = answer("CoreApi")
        assert created["statusCode"] == 201
        sid = json.loads(created["body"])["executionInstance"]["sid"]
        assert sid == json.loads((ROOT / "events" / "step_runner.json").read_text())["sid"]
        assert answer("CoreApi")["statusCode"] == 200

        assert stack.downstream.call("GET", "/_ledger") == []
        assert answer("StepRunner") == {"claimed": 1}
        assert [line["effect"] for line in stack.downstream.call("GET", "/_ledger")] == [True]

        assert answer("Sweeper") == {"wakeups": 0, "failed": 0, "operations": 0, "left": 0}

        started = json.loads(answer("ProcessApi")["body"])
        assert started["message"] == "Process saved"
        api = replace(stack.stack, secret=example("water-filter-refill", stack.downstream)["secret"])
        assert api.call("GET", f"/execution-instance/{started['robustaSpid']}")["status"] == "ACTIVE"

        made = answer("AutomationApi")
        assert (made["statusCode"], json.loads(made["body"])["definition"]["name"]) == (201, "Say hello")

        session = json.loads(answer("OrdersApi")["body"])
        assert (session["isAuthenticated"], session["account"]) == (True, "dev")
        body = json.dumps({"controllerId": "dev"}).encode()
        token = {"X-Access-Token": session["accessToken"]}
        assert sent(stack.stack.url, "POST", "/joc/api/orders", body, token)[0] == 200

        assert answer("Publisher") == {"batchItemFailures": []}
        paused = f"{sid}-4-instance.paused"
        await_that(lambda: paused in ids_of_feed(stack.stack), 30, lambda: ids_of_feed(stack.stack))

        stack.stack.call("PUT", "/webhook", {"url": f"{stack.downstream.url}/hook"})
        assert answer("WebhookSender") == {"batchItemFailures": []}
        hooks = [line for line in stack.downstream.call("GET", "/_ledger") if line["path"] == "/hook"]
        assert paused in [line["request"]["id"] for line in hooks]

        # The emulator has not deleted the record that the sample says has expired.
        assert answer("Expirer") == {"batchItemFailures": []}
        assert api.call("GET", f"/execution-event/{sid}-1")["event"]["status"] == "PROCESSED"

        # The sample is the job of the queue's first shard.
        stack.stack.call("DELETE", "/queue")
        held = stack.folder / "held.json"
        held.write_text(json.dumps({"sid": in_first_shard(stack, api)}))
        assert answer("StepRunner", held) == {"claimed": 0}
        stack.stack.call("POST", "/queue")
        assert answer("BulkRunner") == {"done": 1, "failed": 0}

        functions = list(Template(ROOT / "template.yaml", {}).functions())
        assert tried == {function.logical_id for function in functions}
        assert [len(samples(function)) for function in functions] == [1] * len(functions)

    def test_a_function_that_fails_ends_with_1(self, stack: Processes) -> None:
        event = stack.folder / "bad.json"
        event.write_text('{"id": "no sid"}')

        ended = invoked(stack, "--function", "StepRunner", "--event", str(event))

        assert ended.returncode == 1
        answer = json.loads(ended.stdout)
        assert answer["errorMessage"] == "KeyError: 'sid'"
        assert answer["stackTrace"][-1] == answer["errorMessage"]

    def test_an_unknown_function_is_refused_with_those_that_exist(self, stack: Processes) -> None:
        ended = invoked(stack, "--function", "core_api")

        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == (
            "make invoke: there is no function 'core_api' (F=): one of StepRunner, Sweeper, BulkRunner, CoreApi, "
            "ProcessApi, AutomationApi, OrdersApi, Publisher, WebhookSender, Expirer\n"
        )

    def test_an_unknown_sample_is_refused_with_those_that_exist(self, stack: Processes) -> None:
        ended = invoked(stack, "--function", "Publisher", "--event", "events/published.json")

        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == (
            "make invoke: there is no file 'events/published.json' (E=): Publisher has events/publisher.json\n"
        )

    @pytest.mark.parametrize(
        ("text", "why"), [("{", "is not JSON: "), ("[]", "must contain a JSON object, the event")]
    )
    def test_a_file_without_an_event_is_refused(self, stack: Processes, text: str, why: str) -> None:
        event = stack.folder / "event.json"
        event.write_text(text)

        ended = invoked(stack, "--function", "Publisher", "--event", str(event))

        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith(f"make invoke: {event} {why}")

    def test_without_a_stack_it_says_so(self, tmp_path: Path) -> None:
        nowhere = Processes(tmp_path / "none", downstream_port=1, stack_port=1)

        ended = invoked(nowhere, "--function", "Sweeper")

        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == (
            f"make invoke: no local stack runs on {tmp_path}/none/{STACK_FOLDER}: start it with `make up`, "
            "or name its folder in STATE_DIR\n"
        )

    def test_another_stack_at_the_same_port_is_not_taken_for_it(
        self, stack: Processes, tmp_path: Path
    ) -> None:
        """The file of a killed stack stays."""
        (tmp_path / STACK_FOLDER).mkdir()
        document = json.loads((stack.folder / STACK_FOLDER / FILE).read_text())
        (tmp_path / STACK_FOLDER / FILE).write_text(json.dumps({**document, "pid": 1}))

        ended = invoked(Processes(tmp_path, downstream_port=1, stack_port=1), "--function", "Sweeper")

        assert ended.returncode == 2
        assert "no local stack runs on" in ended.stderr


class TestSamEnv:
    """`make sam-env` writes files with which containers of SAM's command line can reach the stack."""

    def test_a_handler_with_that_environment_alone_reaches_the_stack(
        self, stack: Processes, tmp_path: Path
    ) -> None:
        commands = sam_env(stack, tmp_path)
        template, variables = tmp_path / "template.json", tmp_path / "env.json"
        assert commands.returncode == 0, commands.stderr
        assert commands.stdout.splitlines() == [
            f"sam local invoke CoreApi --event events/core_api.json --template {template} --env-vars {variables}",
            f"sam local start-api --template {template} --env-vars {variables}",
        ]
        assert {file.stat().st_mode & 0o777 for file in (template, variables)} == {0o600}

        for name, status in (("CoreApi", (200, 201)), ("OrdersApi", (200,))):
            given = resolved(template, variables, name)
            assert given["code"] == str(ROOT / ".aws-sam" / "build" / name)
            environment = given["environment"]
            assert environment["AWS_ACCESS_KEY_ID"] == environment["AWS_SECRET_ACCESS_KEY"] == "local"
            assert environment["AWS_REGION"] == "eu-central-1"
            urls = [value for key, value in environment.items() if key.startswith("AWS_ENDPOINT_URL_")]
            assert {urlsplit(url).hostname for url in urls} == {BRIDGE}
            assert len(urls) == 6
            answer = called(name, environment)
            assert answer["statusCode"] in status

    def test_the_publisher_reaches_the_bus_and_the_queue(self, stack: Processes, tmp_path: Path) -> None:
        stack.stack.call("PUT", "/webhook", {"url": f"{stack.downstream.url}/queued"})
        assert sam_env(stack, tmp_path).returncode == 0
        given = resolved(tmp_path / "template.json", tmp_path / "env.json", "Publisher")

        assert called("Publisher", given["environment"]) == {"batchItemFailures": []}

        def queued() -> list[str]:
            lines = stack.downstream.call("GET", "/_ledger")
            return [line["request"]["kind"] for line in lines if line["path"] == "/queued"]

        await_that(lambda: "instance.paused" in queued(), 60, queued)

    def test_a_stack_that_refuses_containers_says_how_to_let_them_in(self, tmp_path: Path) -> None:
        running = Processes(tmp_path, downstream_port=free_port(), stack_port=free_port())
        try:
            running.start_stack()
            ended = sam_env(running, tmp_path / "written")
            status, _ = sent(running.stack.url, "POST", "/_aws/emulator/roto-api/reset")
        finally:
            running.stop()

        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("make sam-env: the running stack refuses containers: start it with ")
        assert status == 404
        assert not (tmp_path / "written").exists()


def ids_of_feed(stack: Api) -> list[str]:
    return [message["id"] for _, message in sent_events(stack)]


def in_first_shard(stack: Processes, api: Api) -> str:
    """Create due instances until an instance is in shard 0, and return its sid."""
    history = HistoryReader.of(stack.stack)
    for number in range(200):
        body = {
            "strategyId": "water-filter-refill",
            "attributes": {"customerId": f"c-{number}"},
            "startDate": "2026-01-31T10:00:00Z",
        }
        sid: str = api.call("POST", "/execution-instance", body)["executionInstance"]["sid"]
        if history.instance(sid).shard == 0:
            return sid
    raise AssertionError("no instance is in shard 0")


def sam_env(stack: Processes, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "dev.sam_env", "--folder", str(folder)],
        env={**os.environ, "STATE_DIR": str(stack.folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def resolved(template: Path, variables: Path, name: str) -> dict[str, Any]:
    """Return the folder and the environment that SAM's command line would use for a function."""
    ended = subprocess.run(  # noqa: S603 - our own program
        [str(ROOT / ".venv-sam" / "bin" / "python"), "-c", RESOLVE, str(template), str(variables), name],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def called(name: str, environment: dict[str, str]) -> Any:
    """Return the answer of a function's handler in a process that has no other environment, as in a container."""
    module = environment["AWS_LAMBDA_FUNCTION_HANDLER"].rpartition(".")[0]
    event = ROOT / "events" / f"{module.split('.')[1]}.json"
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", CALL, module, str(event)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, f"{name}: {ended.stderr}"
    (answer,) = [line for line in ended.stdout.splitlines() if line.startswith("ANSWER ")]
    return json.loads(answer.removeprefix("ANSWER "))
