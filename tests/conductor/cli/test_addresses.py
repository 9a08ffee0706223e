"""A command that was given several addresses asks the conductor that can answer. Keeps K15 (the client's half) and K2."""

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from conductor.cli import addresses
from conductor.cli.addresses import Turns, read_addresses
from conductor.cli.connection import connected
from conductor.cli.text.failure import CommandError
from conductor.cli.views.follow import followed
from conductor.errors import NotActiveError, RequestError, ServiceError, StorageError
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import run_service_pb2_grpc
from servicekit.statuses import Refusal, describe

RUN = f"runs/{'a' * 26}"


class Conductor(run_service_pb2_grpc.RunServiceServicer):
    """A conductor of which only the refusals matter. `ends` says with which error its next calls end."""

    def __init__(self, folder: Path, name: str) -> None:
        self.address = f"unix:{folder}/{name}.sock"
        self.name = name
        self.asked: list[Any] = []
        self.ends: list[Exception] = []
        self.stays: Exception | None = None
        self.history = 6
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        run_service_pb2_grpc.add_RunServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.address)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()

    def _meet(self, request: Any, context: Any) -> None:
        self.asked.append(request)
        error = self.ends.pop(0) if self.ends else self.stays
        if error is not None:
            context.abort_with_status(rpc_status.to_status(describe(error, "conductor")))

    def CreateRun(self, request: Any, context: Any) -> pb.Run:  # noqa: N802
        self._meet(request, context)
        return pb.Run(name=RUN, title=self.name)

    def GetRun(self, request: Any, context: Any) -> pb.Run:  # noqa: N802
        self._meet(request, context)
        return pb.Run(name=RUN, title=self.name)

    def WatchRun(self, request: Any, context: Any) -> Iterator[pb.WatchRunResponse]:  # noqa: N802
        self._meet(request, context)
        begin = int(request.resume_token or 0)
        for number in range(begin + 1, self.history + 1):
            yield pb.WatchRunResponse(resume_token=str(number), sequence=number)
            if number == 3 and begin == 0:
                context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Conductor, Conductor]]:
    pair = Conductor(tmp_path, "a"), Conductor(tmp_path, "b")
    for one in pair:
        one.start()
    yield pair
    for one in pair:
        one.stop()


def both(pair: tuple[Conductor, Conductor]) -> str:
    return ",".join(one.address for one in pair)


def test_a_change_goes_to_the_active_conductor_with_the_same_request_id(two: tuple[Conductor, Conductor]) -> None:
    standby, active = two
    standby.stays = NotActiveError(active.address)
    with connected(both(two)) as connection:
        first = connection.runs.CreateRun(pb.CreateRunRequest(request_id="one"), timeout=10)
        second = connection.runs.CreateRun(pb.CreateRunRequest(request_id="two"), timeout=10)

    assert (first.title, second.title) == ("b", "b")
    assert [one.request_id for one in (*standby.asked, *active.asked)] == ["one", "one", "two"]


def test_a_change_waits_while_no_conductor_is_active(two: tuple[Conductor, Conductor]) -> None:
    one, other = two
    one.ends, other.ends = [NotActiveError()] * 2, [NotActiveError()] * 2
    with connected(both(two)) as connection:
        made = connection.runs.CreateRun.future(pb.CreateRunRequest(request_id="x"), timeout=10).result(10)

    assert made.name == RUN
    assert {asked.request_id for asked in (*one.asked, *other.asked)} == {"x"}


def test_nobody_is_asked_but_those_who_were_named(tmp_path: Path, two: tuple[Conductor, Conductor]) -> None:
    """A conductor that was taken over could name any address; a command that has one address asks no other."""
    standby, active = two
    standby.ends = [NotActiveError(f"unix:{tmp_path}/elsewhere.sock")]
    with connected(both(two)) as connection:
        assert connection.runs.GetRun(pb.GetRunRequest(name=RUN), timeout=10).title == "b"

    standby.ends = [NotActiveError(active.address)]
    with pytest.raises(CommandError, match="standby") as refused, connected(standby.address) as connection:
        connection.runs.GetRun(pb.GetRunRequest(name=RUN), timeout=10)
    assert any(active.address in line for line in refused.value.lines)
    assert len(active.asked) == 1


def test_the_next_conductor_is_asked_where_the_first_is_gone(two: tuple[Conductor, Conductor]) -> None:
    two[0].stop()
    with connected(both(two)) as connection:
        assert connection.runs.CreateRun(pb.CreateRunRequest(), timeout=10).title == "b", "it was never asked"


@pytest.mark.parametrize(
    ("error", "request_id", "tries"),
    [
        (StorageError("full"), "x", 2),
        (StorageError("full"), "", 1),  # it may have been carried out, and nothing would tell that it is the same
        (RequestError("wrong"), "x", 1),
        (ServiceError("broken"), "x", 1),
    ],
)
def test_only_a_call_that_counts_once_is_repeated(
    two: tuple[Conductor, Conductor], error: Exception, request_id: str, tries: int
) -> None:
    two[0].ends = [error]
    with suppress(CommandError), connected(both(two)) as connection:
        connection.runs.CreateRun(pb.CreateRunRequest(request_id=request_id), timeout=10)

    assert sum(len(one.asked) for one in two) == tries


def test_a_watch_goes_on_at_the_next_address_and_misses_and_doubles_nothing(two: tuple[Conductor, Conductor]) -> None:
    said: list[str] = []
    with connected(both(two)) as connection:
        told = followed(
            connection,
            RUN,
            "",
            on_away=lambda: said.append("away"),
            on_back=lambda: said.append("back"),
            on_silence=lambda _: None,
        )
        assert [message.sequence for message in told] == [1, 2, 3, 4, 5, 6]

    assert said == ["away", "back"]
    assert [[asked.resume_token for asked in one.asked] for one in two] == [[""], ["3"]]


def test_a_wait_for_an_active_conductor_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = [0.0], list[float]()
    monkeypatch.setattr(addresses.time, "monotonic", lambda: clock[0])

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    turns = Turns(["a", "b", "c"], sleep)
    pauses = turns.pauses()
    while pauses.wait():
        assert turns.move(Refusal("UNAVAILABLE", "", reason="NOT_ACTIVE"))

    assert 25.0 < sum(slept) <= addresses.PATIENCE_SECONDS
    assert not Turns(["a"]).move(Refusal("UNAVAILABLE", "", reason="NOT_ACTIVE"))


def test_addresses_stand_with_commas_between_them() -> None:
    def texts(given: str) -> list[str]:
        return [one.text for one in read_addresses(given)]

    assert texts("127.0.0.1:1, host-b:2,127.0.0.1:1") == ["127.0.0.1:1", "host-b:2"]
    assert texts("unix:/a,unix:/b") == ["unix:/a", "unix:/b"]
    for wrong in ("a:1,b", "a:1,,b:2", "a:1,dns:b:2", "unix:/a,b", ",".join(["a:1"] * 17)):
        with pytest.raises(CommandError):
            read_addresses(wrong)


def test_two_addresses_are_asked_by_the_command_line(
    two: tuple[Conductor, Conductor], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from conductor.cli.main import main

    monkeypatch.setenv("CONDUCTOR_ADDRESS", both(two))
    two[0].ends = [NotActiveError(two[1].address)]

    assert main(["--output", "json", "show", RUN]) == 0
    assert '"title"' in capsys.readouterr().out
    assert threading.active_count() < 50
