"""Follows a run to its end, across restarts of the conductor: nothing is missed, and nothing comes twice."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc

from conductor.cli.connection import Connection
from conductor.cli.views.silence import Silence
from conductor.v1 import run_service_pb2

Answer = TypeVar("Answer")

# How long a conductor may be away before following it is given up.
PATIENCE_SECONDS = 300.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class Absence:
    """Waits for a conductor that went away. `on_away` is called when it went, `on_back` when it is heard again."""

    def __init__(self, on_away: Callable[[], None], on_back: Callable[[], None]) -> None:
        self._on_away, self._on_back = on_away, on_back
        self._since: float | None = None
        self._pause = FIRST_PAUSE_SECONDS

    def end(self) -> None:
        """Notes that the conductor was heard."""
        if self._since is not None:
            self._since, self._pause = None, FIRST_PAUSE_SECONDS
            self._on_back()

    def wait(self, error: grpc.RpcError) -> None:
        """Waits before the next try; raises the error when it is a refusal, or came for longer than PATIENCE_SECONDS."""
        now = time.monotonic()
        if not is_away(error) or (self._since is not None and now - self._since > PATIENCE_SECONDS):
            raise error
        if self._since is None:
            self._since = now
            self._on_away()
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)


def patiently(ask: Callable[[], Answer], absence: Absence) -> Answer:
    """Asks until a conductor answers; raises grpc.RpcError as `Absence.wait` does."""
    while True:
        try:
            answer = ask()
        except grpc.RpcError as error:
            absence.wait(error)
        else:
            absence.end()
            return answer


def followed(
    connection: Connection,
    run: str,
    token: str,
    *,
    on_away: Callable[[], None],
    on_back: Callable[[], None],
    on_silence: Callable[[float], None],
) -> Iterator[run_service_pb2.WatchRunResponse]:
    """Yields every message of a run once, in order, until its last.

    `on_away` is called when the connection is lost, `on_silence`, with its seconds and from another thread, when it stands
    and nothing comes, and `on_back` with the first message after either. Raises grpc.RpcError when the server refuses, or
    stays away longer than PATIENCE_SECONDS.
    """
    absence = Absence(on_away, on_back)
    position = 0
    with Silence(on_silence) as silence:
        silence.listen()
        while True:
            call = connection.runs.WatchRun(run_service_pb2.WatchRunRequest(name=run, resume_token=token))
            try:
                for told in call:
                    if silence.rest():
                        on_back()
                    absence.end()
                    token = told.resume_token or token
                    # The first message after a resume is the run as it was told.
                    if not (told.HasField("run") and told.sequence == position):
                        position = told.sequence
                        yield told
                    silence.listen()
            except grpc.RpcError as error:
                silence.rest()
                absence.wait(error)
            else:
                return
            finally:
                call.cancel()


def is_away(error: grpc.RpcError) -> bool:
    """Returns whether a call failed because no conductor answered, rather than because one refused."""
    codes = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)
    return bool(error.code() in codes)
