"""A command that follows goes on where a conductor was killed and started again: nothing missed, nothing twice. Keeps G1 and K2."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from conductor.v1 import run_service_pb2_grpc
from tests.kit import flows
from tests.kit.services import Pair, running_pair

WORDS = [f"word{number}é" for number in range(100)]
pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Services for all tests here: each starts the conductor again that it killed."""
    with running_pair(tmp_path_factory.mktemp("pair"), hosts=("alpha",)) as running:
        yield running


def talking(pair: Pair, *directives: str) -> str:
    """The name of a run that has begun, whose one step says so much."""
    talk = flows.scripted("talk", *directives)
    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        asked = flows.request(flows.plain_workspace(pair.folder / "w"), talk)
        return str(stub.CreateRun(asked, timeout=30).name)


@pytest.mark.long
def test_output_goes_on_from_its_byte_when_the_conductor_comes_back(pair: Pair) -> None:
    run = talking(pair, *(part for word in WORDS for part in (f"say {word}", "sleep 0.03")))
    command = [sys.executable, "-m", "conductor.cli", "--address", pair.address, "output", run, "talk", "--follow"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        heard = following.stdout.readline()
        pair.conductor.kill()
        told = following.stderr.readline()
        pair.conductor.start()
        heard += following.stdout.read()
        told += following.stderr.read()
        following.wait(30)

    assert heard.split() == WORDS
    assert told == f"… no conductor answers at {pair.address}; waiting up to 5 min for it\n… it is back\n"
    assert following.returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("command", [("watch", "{run}"), ("watch", "{start}"), ("output", "{run}", "talk", "--follow")])
def test_what_follows_waits_for_a_conductor_that_is_not_there_yet_and_says_where_and_how_long(
    pair: Pair, command: tuple[str, ...]
) -> None:
    run = talking(pair, "say words")
    pair.conductor.kill()
    named = [part.format(run=run, start=run.removeprefix("runs/")[:20]) for part in command]
    with subprocess.Popen(
        [sys.executable, "-m", "conductor.cli", "--address", pair.address, *named],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        told = following.stderr.readline()
        pair.conductor.start()
        heard = following.stdout.read()
        following.stderr.read()
        following.wait(30)

    assert told == f"… no conductor answers at {pair.address}; waiting up to 5 min for it\n"
    assert "words" in heard
    assert following.returncode == 0
