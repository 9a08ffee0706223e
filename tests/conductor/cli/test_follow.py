"""Following a run, or what one step says, survives the conductor's restarts. Keeps G1 (the client's half) and K2."""

import threading
from concurrent import futures

import grpc
import grpc_testing
import pytest

from conductor.cli.commands.reading import print_output
from conductor.cli.connection import Connection
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.views import follow, silence
from conductor.v1 import run_service_pb2

RUN_SERVICE = run_service_pb2.DESCRIPTOR.services_by_name["RunService"]
WATCH = RUN_SERVICE.methods_by_name["WatchRun"]


class Watching:
    """`followed` at work in a thread, with what it gave and what it said."""

    def __init__(self, channel: grpc_testing.Channel) -> None:
        self.told: list[int] = []
        self.said: list[str] = []
        self.error: grpc.RpcError | None = None
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(Connection(channel),), daemon=True)
        self._thread.start()

    def _run(self, connection: Connection) -> None:
        messages = follow.followed(
            connection,
            "runs/x",
            "",
            on_away=lambda: self.said.append("away"),
            on_back=lambda: self.said.append("back"),
            on_silence=lambda _: self._hear_nothing(),
        )
        try:
            for message in messages:
                with self._more:
                    self.told.append(message.sequence)
                    self._more.notify_all()
        except grpc.RpcError as error:
            self.error = error

    def _hear_nothing(self) -> None:
        with self._more:
            self.said.append("silent")
            self._more.notify_all()

    def wait_until_said(self, what: str) -> None:
        with self._more:
            assert self._more.wait_for(lambda: what in self.said, 10)

    def wait_for(self, sequence: int) -> None:
        # The testing channel forgets what was not read yet when a call is terminated.
        with self._more:
            assert self._more.wait_for(lambda: sequence in self.told, 10)

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def channel() -> grpc_testing.Channel:
    return grpc_testing.channel([RUN_SERVICE], grpc_testing.strict_real_time())


def _message(sequence: int) -> run_service_pb2.WatchRunResponse:
    return run_service_pb2.WatchRunResponse(sequence=sequence, resume_token=f"t{sequence}")


def _end(call: grpc_testing.UnaryStreamChannelRpc, code: grpc.StatusCode) -> None:
    call.terminate((), code, "")


def test_a_lost_connection_goes_on_after_the_last_token(channel: grpc_testing.Channel) -> None:
    watching = Watching(channel)
    _, request, call = channel.take_unary_stream(WATCH)
    assert request.resume_token == ""
    call.send_response(_message(1))
    call.send_response(_message(2))
    watching.wait_for(2)
    _end(call, grpc.StatusCode.UNAVAILABLE)

    _, request, call = channel.take_unary_stream(WATCH)
    assert request.resume_token == "t2"
    _end(call, grpc.StatusCode.UNAVAILABLE)

    _, request, call = channel.take_unary_stream(WATCH)
    assert request.resume_token == "t2"
    call.send_response(run_service_pb2.WatchRunResponse(sequence=2, resume_token="t2", run=run_service_pb2.Run()))
    call.send_response(_message(3))
    watching.wait_for(3)
    _end(call, grpc.StatusCode.OK)
    watching.join()

    assert watching.told == [1, 2, 3], "the run is told again after a resume"
    assert watching.said == ["away", "back"]
    assert watching.error is None


def test_a_refusal_is_not_tried_again(channel: grpc_testing.Channel) -> None:
    watching = Watching(channel)
    _, _, call = channel.take_unary_stream(WATCH)
    _end(call, grpc.StatusCode.NOT_FOUND)
    watching.join()

    assert watching.error is not None
    assert watching.error.code() is grpc.StatusCode.NOT_FOUND


def test_patience_has_an_end(channel: grpc_testing.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", 0.0)
    watching = Watching(channel)
    for _ in range(2):
        _, _, call = channel.take_unary_stream(WATCH)
        _end(call, grpc.StatusCode.UNAVAILABLE)
    watching.join()

    assert watching.error is not None


def test_a_conductor_that_says_nothing_is_told_once_and_that_it_speaks_again(
    channel: grpc_testing.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SILENCE_SECONDS", 0.2)
    watching = Watching(channel)
    _, _, call = channel.take_unary_stream(WATCH)
    watching.wait_until_said("silent")
    monkeypatch.setattr(silence, "SILENCE_SECONDS", 1000.0)
    call.send_response(_message(1))
    watching.wait_for(1)
    _end(call, grpc.StatusCode.OK)
    watching.join()

    assert watching.said == ["silent", "back"]
    assert watching.told == [1]


READ = RUN_SERVICE.methods_by_name["ReadOutput"]


def test_output_says_where_to_go_on_when_the_wait_is_over(
    channel: grpc_testing.Channel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", 0.0)
    request = run_service_pb2.ReadOutputRequest(name="runs/x/steps/a", attempt="x-a-1", channel="CHANNEL_LOG", offset=4)
    with futures.ThreadPoolExecutor(1) as pool:
        printed = pool.submit(
            print_output, Context("127.0.0.1:7410", "plain"), Connection(channel), request, follow=True
        )
        _, asked, call = channel.take_unary_stream(READ)
        assert asked.offset == 4
        call.send_response(run_service_pb2.ReadOutputResponse(offset=4, text="né", total_bytes=7))
        call.terminate((), grpc.StatusCode.OK, "")
        for _ in range(2):
            _, asked, call = channel.take_unary_stream(READ)
            assert asked.offset == 7
            _end(call, grpc.StatusCode.UNAVAILABLE)
        with pytest.raises(CommandError) as told:
            printed.result(10)

    assert told.value.code == 69
    assert told.value.lines[-1] == "then go on:  conductor output x a --channel log --attempt x-a-1 --offset 7"
    assert capsys.readouterr().out == "né"
