"""Tries to break out of a real sandbox, in every way of the list, and looks from outside what became of it.

Keeps E3, E5, E7: nothing of the host is changed, read or reached. Whether the list can find a hole is tested below with holes.
"""

import asyncio
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from agenthost.config import PROGRAMS
from agenthost.core.sandbox import policy as sandbox_policy
from agenthost.core.sandbox.policy import Resources
from agenthost.system.socket_path import short_path
from tests.escapes.inside.storm import ATTEMPTS
from tests.kit.attempts import Workbench
from tests.kit.processes import processes_with

pytestmark = pytest.mark.processes

RESOURCES = Resources(
    home_bytes=2**24, tmp_bytes=2**24, shm_bytes=2**22, file_bytes=2**26, processes=100, data_bytes=2**30
)
START = "import sys; sys.path.insert(0, '/opt/escapes'); from inside.storm import main; main()"
AS_COMMAND = ("-I", "-S", "/opt/agent", "command", "--", str(Path(sys.executable).resolve()))
SECRET = "a-secret-of-the-host"


@dataclass
class Outcome:
    verdicts: dict[str, dict[str, Any]]
    changes: list[str]

    @property
    def escapes(self) -> list[str]:
        return [name for name, verdict in self.verdicts.items() if verdict["escaped"]]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return asyncio.run(storm(tmp_path_factory.mktemp("escapes")))


def test_with_a_door_to_a_model_nothing_more_gets_out(tmp_path: Path, outcome: Outcome) -> None:
    """Keeps E8: the same list in a network with its one listening socket."""
    with_door = asyncio.run(storm(tmp_path, model="main"))

    assert with_door.verdicts.keys() == outcome.verdicts.keys()
    assert (with_door.escapes, with_door.changes) == ([], [])


@pytest.mark.long
async def test_as_a_command_of_the_operator_it_writes_into_its_own_copy_alone(tmp_path: Path, outcome: Outcome) -> None:
    """Keeps A5: the same list over the throw-away copy, which is the working directory."""
    as_command = await storm(tmp_path, AS_COMMAND)

    assert as_command.verdicts.keys() == outcome.verdicts.keys()
    assert (as_command.escapes, as_command.changes) == (["write through the working directory"], [])


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_is_blocked(outcome: Outcome, name: str) -> None:
    assert not outcome.verdicts[name]["escaped"], outcome.verdicts[name]["detail"]


def test_nothing_outside_was_changed_or_reached_and_nothing_is_left(outcome: Outcome) -> None:
    assert outcome.changes == []


def test_the_list_is_long_enough() -> None:
    assert len(ATTEMPTS) >= 120


async def storm(folder: Path, runner: tuple[str, ...] = (), model: str = "", **weaker: Any) -> Outcome:
    """Runs every attempt in one sandbox, with bait laid around it. `runner`: arguments of a Python that starts theirs."""
    bench = await Workbench.make(folder)
    bench.sandbox = replace(bench.sandbox, **weaker)
    (folder / "canary").write_text(SECRET)
    # Open to every user: the mount must protect them, not their mode.
    for path, mode in ((folder / "canary", 0o666), (bench.tree, 0o777), (bench.tree / "hello.txt", 0o666)):
        path.chmod(mode)
    (bench.tree / "link-out").symlink_to(folder / "canary")
    history = folder / "history.git"
    subprocess.run(["git", "init", "-q", "--bare", history], check=True)
    marker = f"storm{os.getpid()}"
    here = Path(__file__).parent
    before = fingerprint(bench.tree), fingerprint(history), fingerprint(here)
    with (
        bait(folder) as (listeners, described),
        subprocess.Popen(["sleep", "600"], env={"SECRET": SECRET}) as neighbour,
    ):
        done = await bench.run(
            str(Path(sys.executable).resolve()), *runner, "-I", "-S", "-c", START, marker, json.dumps(described),
            history=history, install=PROGRAMS, resources=RESOURCES, model=model,
            mounts={"bait": folder / "bait", "escapes": here},
        )  # fmt: skip
        visited = [listener for listener in listeners if was_visited(listener)]
        alive = neighbour.poll() is None
        neighbour.kill()
    after = fingerprint(bench.tree), fingerprint(history), fingerprint(here)
    assert done.status.exit_code == 0, (done.status, done.stderr[-2000:])
    facts = {
        "a tree is not what it was": before != after,
        "the canary is not what it was": (folder / "canary").read_text() != SECRET,
        "a socket was reached": bool(visited),
        "a neighbour is dead": not alive,
        "processes are left": bool(processes_with(marker)),
    }
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if runner:
        lines = [json.loads(line) for line in lines[-1]["result"]["stdout"].splitlines()]
    return Outcome({line["name"]: line for line in lines}, [fact for fact, is_so in facts.items() if is_so])


@contextmanager
def bait(folder: Path) -> Iterator[tuple[list[socket.socket], dict[str, Any]]]:
    abstract_name = f"escapes-{os.getpid()}-{folder.name}"
    stream = socket.create_server(("127.0.0.1", 0))
    port = stream.getsockname()[1]
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", port))
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    abstract.bind(f"\0{abstract_name}")
    abstract.listen()
    named = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    (folder / "bait").mkdir()
    with short_path(folder / "bait", "door") as door:
        named[0].bind(door)
    (folder / "bait" / "door").chmod(0o777)
    named[1].bind(f"\0{abstract_name}-datagrams")
    listeners = [stream, datagrams, abstract, *named]
    try:
        for listener in listeners:
            listener.settimeout(0)
        place = {"file": str(folder / "canary"), "folder": str(folder)}
        yield listeners, {**place, "port": port, "abstract": abstract_name, "pid": os.getpid(), "secret": SECRET}
    finally:
        for listener in listeners:
            listener.close()


def was_visited(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(100)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def fingerprint(folder: Path) -> str:
    """Names, kinds, modes, owners, times and contents of all below a folder; compiled files of Python aside."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts):
        facts = path.lstat()
        digest.update(
            f"{path} {facts.st_mode} {facts.st_uid} {facts.st_gid} {facts.st_size} {facts.st_mtime_ns}\n".encode()
        )
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


# What must turn up when a layer is missing; the shim's own look from outside is passed over to get that far.
LETS_ALL_THROUGH = struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)


@pytest.mark.long
async def test_the_list_finds_a_missing_filter(tmp_path: Path) -> None:
    """The suite can fail."""
    found = (await storm(tmp_path, syscall_filter=LETS_ALL_THROUGH)).escapes
    assert {"make a vsock", "trace a child", "set up an io_uring", "change personality"} <= set(found)
    assert {"share memory of System V", "watch what the host starts", "lock out others", "enlarge a pipe"} <= set(found)
    assert {"send a datagram to a socket in a mount", "enlarge a socket's send buffer"} <= set(found)
    assert {"have files that its process has not", "share its files with a process", "add a filter of its own"} <= set(
        found
    )


@pytest.mark.long
async def test_the_list_finds_missing_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite can fail."""
    monkeypatch.setattr(sandbox_policy, "rlimits", lambda _: {})
    # The bound of the whole attempt would end it before the list is through.
    monkeypatch.setitem(globals(), "RESOURCES", replace(RESOURCES, memory_bytes=2**40))
    found = (await storm(tmp_path)).escapes
    assert {"write an endless file", "dump core"} & set(found)
