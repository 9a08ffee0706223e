"""The one door of an agent's network, as the shim makes it, keeps it and hands it on."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from agenthost.core.models.gateway_rules import PORT
from agenthost.system.socket_path import short_path
from tests.kit.attempts import Workbench, finish, output

pytestmark = pytest.mark.processes

PYTHON = str(Path(sys.executable).resolve())
KNOCK = f"""
import socket
print("ready", flush=True)
with socket.create_connection(("127.0.0.1", {PORT})) as link:
    link.sendall(b"hello")
    print(link.recv(100).decode(), flush=True)
input()
with socket.create_connection(("127.0.0.1", {PORT})) as link:
    print(link.recv(100).decode(), flush=True)
"""


@pytest.fixture
async def bench(tmp_path: Path) -> Workbench:
    return await Workbench.make(tmp_path)


def take_door(folder: Path) -> tuple[socket.socket, socket.socket]:
    """As a gateway does: the link to the shim, and the door."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(10)
    with short_path(folder, "control.sock") as path:
        link.connect(path)
    link.sendall(b'{"do": "door"}\n')
    said, descriptors = b"", list[int]()
    while not descriptors:
        data, descriptors, _, _ = socket.recv_fds(link, 1000, 1)
        said += data
    door = socket.socket(fileno=descriptors[0])
    door.settimeout(10)
    assert said.endswith(b'{"door": true}\n')
    return link, door


def answer(door: socket.socket, word: bytes) -> None:
    visitor, _ = door.accept()
    with visitor:
        visitor.sendall(word)


async def test_the_process_that_gets_the_door_answers_the_agent_and_the_next_one_too(bench: Workbench) -> None:
    """Keeps E8, and rule 12: a gateway's death does not close the door."""
    launch = {"model": "fake", "keeps_stdin": True}
    async with await bench.spawn(PYTHON, "-I", "-S", "-c", KNOCK, **launch) as attempt:
        await output(attempt, "ready")
        link, door = await asyncio.to_thread(take_door, bench.folder / "attempt0")
        await asyncio.to_thread(answer, door, b"first gateway")
        await output(attempt, "first gateway")
        link.close()
        door.close()
        assert await attempt.give_input(1, "again\n")
        link, door = await asyncio.to_thread(take_door, bench.folder / "attempt0")
        await asyncio.to_thread(answer, door, b"second gateway")
        done = await finish(attempt)
        gone = await asyncio.to_thread(link.recv, 100)

    assert done.stdout.split("\n")[:3] == ["ready", "first gateway", "second gateway"]
    assert gone == b"", "the end of the shim is told by the end of its link"
    assert f"network: model fake, through 127.0.0.1:{PORT} alone" in done.status.attestation.checks
    link.close()
    door.close()


async def test_an_agent_without_a_model_has_no_door_to_hand_out(bench: Workbench) -> None:
    """Keeps E8."""
    async with await bench.spawn("sleep", "60") as attempt:
        await attempt.wait_started()
        with pytest.raises((ConnectionError, AssertionError, TimeoutError)):
            await asyncio.to_thread(take_door_or_fail, bench.folder / "attempt0")
        await attempt.cancel("enough")
        done = await finish(attempt)

    assert "network: none" in done.status.attestation.checks


def take_door_or_fail(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link, short_path(folder, "control.sock") as path:
        link.settimeout(10)
        link.connect(path)
        link.sendall(b'{"do": "door"}\n')
        while True:
            data, descriptors, _, _ = socket.recv_fds(link, 1000, 1)
            assert not descriptors
            if not data:
                raise ConnectionResetError


async def test_the_door_leads_to_nothing_else(bench: Workbench) -> None:
    """Keeps E8: every other port and address, and every name, is out of reach, with the door there."""
    script = f"""
import socket
for address in (("127.0.0.1", {PORT + 1}), ("127.0.0.2", {PORT}), ("192.0.2.1", 443), ("169.254.169.254", 80)):
    try:
        socket.create_connection(address, timeout=2)
        print("reached", address)
    except OSError as error:
        print(error.errno)
try:
    print("resolved", socket.getaddrinfo("example.com", 443))
except OSError:
    print("no name")
"""
    done = await bench.run(PYTHON, "-I", "-S", "-c", script, model="fake")

    assert "reached" not in done.stdout
    assert done.stdout.splitlines()[-1] == "no name"


async def test_the_policy_with_a_door_is_another_one(bench: Workbench) -> None:
    runs = [await bench.run("true", **launch) for launch in ({}, {"model": "one"}, {"model": "two"})]

    assert len({done.status.attestation.policy_digest for done in runs}) == 3
