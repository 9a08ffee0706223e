"""Kill the conductor in mid-run and look from outside: nothing is lost, and nothing runs twice. Keeps I3, G1, G4 and B1."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from conductor.v1 import run_service_pb2_grpc
from conductor.v1.run_service_pb2 import (
    CreateRunRequest,
    GetRunRequest,
    GetStepRequest,
    Output,
    ReadOutputRequest,
    Run,
    WatchRunRequest,
    WatchRunResponse,
)
from tests.kit import flows
from tests.kit.services import Pair, running_pair

WORDS = 60
STEPS = 4
pytestmark = [pytest.mark.processes, pytest.mark.timeout(150)]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Services for all tests here: a conductor that was killed serves again before a test ends."""
    extra: tuple[str, ...] = ()
    if request.param == "postgresql":
        extra = ("--store", request.getfixturevalue("databases").take())
    with running_pair(tmp_path_factory.mktemp("pair"), extra=extra) as running:
        yield running


def talkative_request(workspace: Path) -> CreateRunRequest:
    """Agents that talk for two or three seconds, and a fold that repeats them."""
    steps = []
    for number in range(STEPS):
        directives = [part for word in range(WORDS) for part in (f"say s{number}w{word} ", "sleep 0.04")]
        steps.append(flows.scripted(f"talk{number}", *directives))
    names = [step.id for step in steps]
    told = "\n".join(f"{{{{ steps.{name}.text }}}}" for name in names)
    return flows.request(workspace, *steps, flows.fold("all", told, *names))


def expected_words(number: int) -> list[str]:
    return [f"s{number}w{word}" for word in range(WORDS)]


def watched(stub: run_service_pb2_grpc.RunServiceStub, run: str, token: str = "") -> list[WatchRunResponse]:
    """Every message that moves the position, to the end."""
    told = stub.WatchRun(WatchRunRequest(name=run, resume_token=token), timeout=100)
    return [message for message in told if message.WhichOneof("message") != "progress"]


def history(messages: list[WatchRunResponse]) -> list[bytes]:
    """Returns what two watchers must agree on: each position's messages, in order."""
    return [message.SerializeToString(deterministic=True) for message in messages]


def said(messages: list[WatchRunResponse]) -> dict[tuple[str, int], str]:
    """Each channel's text; an offset that does not continue it is a hole or a double."""
    channels: dict[tuple[str, int], str] = defaultdict(str)
    for message in messages:
        if message.HasField("output"):
            output = message.output
            key = (output.attempt, output.channel)
            assert output.offset == len(channels[key].encode())
            channels[key] += output.text
    return channels


def spawned(pair: Pair, *runs: str) -> list[str]:
    """The attempts of these runs that a host has let go."""
    lines: list[str] = []
    for host in pair.hosts:
        log = pair.folder / host / "spawns.jsonl"
        lines += [json.loads(line)["execution"] for line in log.read_text().splitlines()] if log.exists() else []
    return [line for line in lines if f"runs/{line.partition('-')[0]}" in runs]


def test_a_conductor_killed_in_mid_run_loses_and_repeats_nothing(pair: Pair, tmp_path: Path) -> None:
    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        run = stub.CreateRun(talkative_request(flows.plain_workspace(tmp_path / "w")), timeout=30).name
        before: list[WatchRunResponse] = []
        for message in stub.WatchRun(WatchRunRequest(name=run), timeout=60):
            before.append(message)
            if sum(heard.HasField("output") for heard in before) > 40:
                break
    pair.conductor.kill()
    pair.conductor.start()
    pair.wait_until_ready()

    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        after = watched(stub, run, before[-1].resume_token)
        fresh = watched(stub, run)
        folded = stub.GetStep(GetStepRequest(name=f"{run}/steps/all"), timeout=30).text
        ended = stub.GetRun(GetRunRequest(name=run), timeout=30)

    assert ended.state == Run.STATE_SUCCEEDED
    rejoined = [message for message in before if message.WhichOneof("message") != "progress"]
    rejoined += [message for message in after if message.sequence > before[-1].sequence]
    assert history(rejoined) == history(fresh)
    assert [message.sequence for message in fresh] == sorted({message.sequence for message in fresh})
    for number in range(STEPS):
        attempts = [key for key in said(fresh) if f"-talk{number}-" in key[0] and key[1] == Output.CHANNEL_ANSWER]
        assert len(attempts) == 1
        assert said(fresh)[attempts[0]].split() == expected_words(number)
    assert folded.split() == [word for number in range(STEPS) for word in expected_words(number)]
    assert len(spawned(pair, run)) == len(set(spawned(pair, run))) == STEPS


@pytest.mark.long
def test_a_conductor_killed_again_and_again_still_ends_every_run_once(pair: Pair, tmp_path: Path) -> None:
    workspace = flows.plain_workspace(tmp_path / "w")
    runs = []
    for _ in range(2):  # `./dev chaos` is for more
        with pair.channel() as channel:
            stub = run_service_pb2_grpc.RunServiceStub(channel)
            runs.append(stub.CreateRun(talkative_request(workspace), timeout=30).name)
        pair.conductor.kill()
        pair.conductor.start()
        pair.wait_until_ready()

    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        for run in runs:
            told = watched(stub, run)
            ends = [m for m in told if m.HasField("run") and m.run.state == Run.STATE_SUCCEEDED]
            assert len(ends) == 1
            texts = said(told)
            for number in range(STEPS):
                assert [texts[key].split() for key in texts if f"-talk{number}-" in key[0]] == [expected_words(number)]
    assert len(spawned(pair, *runs)) == len(set(spawned(pair, *runs))) == 2 * STEPS


@pytest.mark.long
def test_twenty_watchers_who_join_at_any_moment_read_one_history(pair: Pair, tmp_path: Path) -> None:
    histories: list[list[bytes]] = []
    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        run = stub.CreateRun(talkative_request(flows.plain_workspace(tmp_path / "w")), timeout=30).name

        def join_later(seconds: float) -> None:
            time.sleep(seconds)
            histories.append(history(watched(stub, run)))

        threads = [threading.Thread(target=join_later, args=(number * 0.17,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)

    assert len(histories) == 20
    assert all(told == histories[0] for told in histories)


def test_watchers_that_never_read_hold_up_no_other(pair: Pair, tmp_path: Path) -> None:
    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        workspace = flows.plain_workspace(tmp_path / "w")
        noisy = flows.scripted("noisy", "repeat 4000 say " + "x" * 500)
        run = stub.CreateRun(flows.request(workspace, noisy), timeout=30).name
        memory_before = _resident(pair)
        stuck = [stub.WatchRun(WatchRunRequest(name=run)) for _ in range(50)]
        try:
            texts = said(watched(stub, run))
            grown = _resident(pair) - memory_before
        finally:
            for call in stuck:
                call.cancel()

    assert sum(len(text) for text in texts.values()) >= 4000 * 500
    # 50 watchers times 2 MB would be 100 MB, were anything kept for them.
    assert grown < 64 * 1024 * 1024


def _resident(pair: Pair) -> int:
    assert pair.conductor.process is not None
    status = Path(f"/proc/{pair.conductor.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def test_output_read_in_pieces_is_the_whole(pair: Pair, tmp_path: Path) -> None:
    """Keeps G2."""
    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        step = flows.scripted("talk", "repeat 500 say grüße→ ")
        run = stub.CreateRun(flows.request(flows.plain_workspace(tmp_path / "w"), step), timeout=30).name
        whole = said(watched(stub, run))
        text, offset = "", 0
        while True:
            read = list(
                stub.ReadOutput(ReadOutputRequest(name=f"{run}/steps/talk", offset=offset, limit=37), timeout=30)
            )
            piece = "".join(part.text for part in read)
            if not piece:
                break
            text += piece
            offset += len(piece.encode())

    assert text == next(text for (_, channel), text in whole.items() if channel == Output.CHANNEL_ANSWER)
    assert read[-1].complete


def test_a_request_id_starts_one_run_and_another_body_is_refused(pair: Pair, tmp_path: Path) -> None:
    """Keeps B2, across a kill of the conductor too."""
    workspace = flows.plain_workspace(tmp_path / "w")
    identity = "6f1f1d2e-0f0a-4a63-9d55-0d6c5b6a7e11"
    asked = flows.request(workspace, flows.scripted("talk", "say hello"), request_id=identity)
    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        first = stub.CreateRun(asked, timeout=30).name
        assert stub.CreateRun(asked, timeout=30).name == first
    pair.conductor.kill()
    pair.conductor.start()
    pair.wait_until_ready()

    with pair.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        assert stub.CreateRun(asked, timeout=30).name == first
        other = flows.request(workspace, flows.scripted("talk", "say other"), request_id=identity)
        with pytest.raises(grpc.RpcError) as refused:
            stub.CreateRun(other, timeout=30)

    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
