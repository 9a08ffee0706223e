"""Two conductors on one PostgreSQL, as processes: killed, frozen, stopped and asked to hand over. Keeps K15, I2 and G1.

Seen from outside: agents talk on, a watcher on the standby misses and doubles nothing, and changes work again in time.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psycopg
import pytest

from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import run_service_pb2_grpc, server_service_pb2, server_service_pb2_grpc
from tests.kit import flows
from tests.kit.services import Service
from tests.kit.waiting import wait_until

LEASE_SECONDS = 2
WORDS = 50
pytestmark = [pytest.mark.processes, pytest.mark.timeout(200)]


@dataclass
class Duo:
    """Two conductors by name, a host, and their database."""

    folder: Path
    url: str
    conductors: dict[str, Service] = field(default_factory=dict)
    host: Service = field(init=False)
    runs: list[str] = field(default_factory=list)

    def address(self, name: str) -> str:
        return f"unix:{self.folder}/{name}.sock"

    @property
    def both(self) -> str:
        return ",".join(map(self.address, self.conductors))

    def info(self, name: str) -> server_service_pb2.ServerInfo:
        with grpc.insecure_channel(self.address(name)) as channel:
            stub = server_service_pb2_grpc.ServerServiceStub(channel)
            info: server_service_pb2.ServerInfo = stub.GetServerInfo(
                server_service_pb2.GetServerInfoRequest(), timeout=30, wait_for_ready=True
            )
            return info

    def wait_for_role(self, name: str, role: str, seconds: float = 30.0) -> None:
        wait_until(lambda: self.info(name).role == role, seconds)

    def roles(self) -> tuple[str, str]:
        """Starts what does not run; returns the active one and the standby."""
        for service in self.conductors.values():
            if service.process is None or service.process.poll() is not None:
                service.start()
        wait_until(lambda: sorted(self.info(name).role for name in self.conductors) == ["active", "standby"])
        active = next(name for name in self.conductors if self.info(name).role == "active")
        return active, next(name for name in self.conductors if name != active)

    def create(self, name: str, agents: int, words: int = WORDS, seconds: float = 10.0) -> str:
        """Asks one conductor for a run, with one request id, until it takes it."""
        said = [[part for word in range(words) for part in (f"say s{n}w{word} ", "sleep 0.1")] for n in range(agents)]
        steps = [flows.scripted(f"talk{number}", *directives) for number, directives in enumerate(said)]
        asked = flows.request(flows.plain_workspace(self.folder / "w"), *steps, request_id=str(uuid.uuid4()))
        until = time.monotonic() + seconds
        with grpc.insecure_channel(self.address(name)) as channel:
            stub = run_service_pb2_grpc.RunServiceStub(channel)
            while True:
                try:
                    self.runs.append(str(stub.CreateRun(asked, timeout=10).name))
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > until:
                        raise
                    time.sleep(0.05)
                else:
                    return self.runs[-1]

    def ask_database(self, query: str) -> tuple[object, ...]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            return row

    def spawned(self, run: str) -> list[str]:
        log = self.folder / "alpha" / "spawns.jsonl"
        lines = [json.loads(line)["execution"] for line in log.read_text().splitlines()]
        return [line for line in lines if line.startswith(run.removeprefix("runs/"))]


@pytest.fixture(scope="module")
def duo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Duo]:
    folder = tmp_path_factory.mktemp("duo")
    it = Duo(folder, request.getfixturevalue("databases").take())
    config = folder / "c.toml"
    config.write_text(f"[limits]\nlease_seconds = {LEASE_SECONDS}\nstop_seconds = 1\n")
    host = f"unix:{folder}/alpha.sock"
    serve = ["agenthost.cli", "serve", "--listen", host, "--data", str(folder / "alpha"), "--name", "alpha"]
    it.host = Service([*serve, "--slots", "60"], folder / "alpha.log")
    for name in ("a", "b"):
        serve = ["conductor.cli", "serve", "--listen", it.address(name), "--data", str(folder / name)]
        serve += ["--store", it.url, "--config", str(config), "--host", f"alpha={host}"]
        it.conductors[name] = Service(serve, folder / f"{name}.log")
    try:
        it.host.start()
        yield it
    finally:
        for service in (*it.conductors.values(), it.host):
            if service.process is not None:
                service.process.send_signal(signal.SIGCONT)
                service.stop()


class Watcher:
    """Watches a run on one conductor, on one stream from its beginning to its end."""

    def __init__(self, address: str, run: str) -> None:
        self.told: list[pb.WatchRunResponse] = []
        self.error: grpc.RpcError | None = None
        self._address = address
        self._run = run
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        with grpc.insecure_channel(self._address) as channel:
            call = run_service_pb2_grpc.RunServiceStub(channel).WatchRun(pb.WatchRunRequest(name=self._run))
            try:
                self.told.extend(message for message in call if not message.HasField("progress"))
            except grpc.RpcError as error:
                self.error = error

    def end(self) -> list[pb.WatchRunResponse]:
        self._thread.join(60)
        assert self.error is None
        return self.told


def texts(told: list[pb.WatchRunResponse]) -> dict[str, str]:
    """What each attempt answered; an offset that does not continue it is a hole or a double."""
    channels: dict[tuple[str, int], str] = defaultdict(str)
    for message in told:
        if message.HasField("output"):
            key = (message.output.attempt, message.output.channel)
            assert message.output.offset == len(channels[key].encode())
            channels[key] += message.output.text
    return {attempt: text for (attempt, channel), text in channels.items() if channel == pb.Output.CHANNEL_ANSWER}


def judge(duo: Duo, run: str, told: list[pb.WatchRunResponse], agents: int, words: int = WORDS) -> None:
    """Nothing is missing, nothing is doubled, and each agent ran once."""
    assert [message.sequence for message in told] == list(range(1, len(told) + 1))
    assert told[-1].run.state == pb.Run.STATE_SUCCEEDED
    answers = texts(told)
    assert sorted(text.split() for text in answers.values()) == sorted(
        [f"s{number}w{word}" for word in range(words)] for number in range(agents)
    )
    assert sorted(duo.spawned(run)) == sorted(answers)


def follow(duo: Duo, run: str) -> "subprocess.Popen[str]":
    """The command line, which was given both addresses, the one that will end first."""
    command = [sys.executable, "-m", "conductor.cli", "--address", duo.both, "--output", "json", "watch", run]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.parametrize("agents", [5, pytest.param(50, marks=pytest.mark.long)])
def test_a_killed_active_conductor_is_replaced_and_no_agent_notices(duo: Duo, agents: int) -> None:
    active, standby = duo.roles()
    run = duo.create(active, agents)
    watcher = Watcher(duo.address(standby), run)
    wait_until(lambda: sum(message.HasField("output") for message in watcher.told) > agents)
    with follow(duo, run) as following:
        assert following.stdout is not None
        first = following.stdout.readline()
        duo.conductors[active].kill()

        begun = time.monotonic()
        second = duo.create(standby, 1, words=1, seconds=LEASE_SECONDS + 3.0)
        took = time.monotonic() - begun
        told = watcher.end()
        followed = [json.loads(line) for line in (first, *following.stdout.read().splitlines())]

    assert took <= LEASE_SECONDS + 3.0, f"changes worked again after {took:.1f} s"
    judge(duo, run, told, agents)
    judge(duo, second, Watcher(duo.address(standby), second).end(), 1, words=1)
    moved = [int(message["sequence"]) for message in followed if "progress" not in message]
    assert moved == [message.sequence for message in told]


@pytest.mark.long
def test_a_hand_over_and_sigterm_touch_no_agent(duo: Duo) -> None:
    active, standby = duo.roles()
    run = duo.create(active, 5)
    watchers = [Watcher(duo.address(name), run) for name in (active, standby)]
    wait_until(lambda: sum(message.HasField("output") for message in watchers[1].told) > 5)

    begun = time.monotonic()
    command = [sys.executable, "-m", "conductor.cli", "--address", duo.both, "handover"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    duo.wait_for_role(standby, "active")
    took = time.monotonic() - begun
    assert (done.returncode, took < LEASE_SECONDS + 3.0) == (0, True), (
        f"{took:.1f} s with the command's own start; {done}"
    )
    assert duo.address(standby) in done.stdout

    process = duo.conductors[standby].process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    duo.wait_for_role(active, "active")
    assert time.monotonic() - begun < 2.0
    assert process.wait(20) == 0
    judge(duo, run, watchers[0].end(), 5)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [LEASE_SECONDS + 3.0, float(os.environ.get("FROZEN_SECONDS", "15"))])
def test_a_frozen_active_conductor_stores_nothing_more(duo: Duo, seconds: float) -> None:
    active, standby = duo.roles()
    run = duo.create(active, 5)
    watcher = Watcher(duo.address(standby), run)
    wait_until(lambda: sum(message.HasField("output") for message in watcher.told) > 5)
    frozen = duo.conductors[active].process
    assert frozen is not None
    frozen.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    try:
        second = duo.create(standby, 1, words=1, seconds=LEASE_SECONDS + 3.0)
        judge(duo, run, watcher.end(), 5)
        Watcher(duo.address(standby), second).end()
        time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
        before = duo.ask_database("SELECT epoch, last_id FROM conductor.meta")
    finally:
        frozen.send_signal(signal.SIGCONT)

    duo.wait_for_role(active, "standby")
    time.sleep(2.0)
    assert duo.ask_database("SELECT epoch, last_id FROM conductor.meta") == before
    assert duo.info(standby).role == "active"
    assert duo.info(active).active_address == duo.address(standby)
