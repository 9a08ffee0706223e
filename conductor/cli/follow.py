"""Follows a run to its end, across restarts of the conductor: nothing is missed, and nothing comes twice."""

import time
from collections.abc import Callable, Iterator

import grpc

from conductor.cli.connection import Connection
from conductor.v1 import run_service_pb2

# How long a conductor may be away before following it is given up.
PATIENCE_SECONDS = 300.0
LONGEST_PAUSE_SECONDS = 2.0


def followed(
    connection: Connection, run: str, token: str, *, on_away: Callable[[], None], on_back: Callable[[], None]
) -> Iterator[run_service_pb2.WatchRunResponse]:
    """Yields every message of a run once, in order, until its last.

    `on_away` is called when the connection is lost, `on_back` with the first message after that. Raises grpc.RpcError
    when the server refuses, or stays away longer than PATIENCE_SECONDS.
    """
    away_since: float | None = None
    pause = 0.1
    while True:
        call = connection.runs.WatchRun(run_service_pb2.WatchRunRequest(name=run, resume_token=token))
        try:
            for told in call:
                if away_since is not None:
                    away_since, pause = None, 0.1
                    on_back()
                token = told.resume_token or token
                yield told
        except grpc.RpcError as error:
            now = time.monotonic()
            if not _is_away(error) or (away_since is not None and now - away_since > PATIENCE_SECONDS):
                raise
            if away_since is None:
                away_since = now
                on_away()
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        else:
            return
        finally:
            call.cancel()


def _is_away(error: grpc.RpcError) -> bool:
    return bool(error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED))
