"""Bounds the calls that a server has at work at once, a room for each kind: a flood of one kind must not keep out another.

Watches have no end of their own, and slow calls wait for disks. Neither may stand in the way of asking for the server's health, of
looking it up, or of cancelling a run. (gRPC has one limit for all calls, and its refusal has no details.)
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from servicekit.errors import ServiceError

# The most calls of each kind.
ROOMS = {"streams": 2_000, "requests": 1_000, "kept_streams": 100, "kept_requests": 100}
# Refused calls need a moment, too. Beyond this gRPC refuses them itself, without details.
MAX_CALLS = 2 * sum(ROOMS.values())

_KEPT = ("/grpc.health.v1.Health/", "/grpc.reflection.")
_KEPT_METHODS = ("Cancel", "GetServerInfo")


class TooManyCallsError(ServiceError):
    """As many calls are at work as this server takes."""

    code = "RESOURCE_EXHAUSTED"
    reason = "TOO_MANY_CALLS"
    retry_after_seconds = 5.0


class Rooms:
    """Counts the calls at work by kind."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    @contextmanager
    def place(self, method: str, *, is_stream: bool) -> Iterator[None]:
        """Takes a place while the block works; raises TooManyCallsError where there is none."""
        room = room_of(method, is_stream=is_stream)
        most = ROOMS[room]
        if self._taken[room] >= most:
            kind = "streams" if is_stream else "requests"
            raise TooManyCallsError(
                f"{most} {kind} of this kind are at work, which is the limit; end one, or try again later",
                metadata={"limit": f"calls.{room}", "most": str(most)},
            )
        self._taken[room] += 1
        try:
            yield
        finally:
            self._taken[room] -= 1


def room_of(method: str, *, is_stream: bool) -> str:
    """Returns the kind of a call, for a full name such as `/conductor.v1.RunService/WatchRun`."""
    is_kept = method.startswith(_KEPT) or method.rpartition("/")[2].startswith(_KEPT_METHODS)
    kind = "streams" if is_stream else "requests"
    return f"kept_{kind}" if is_kept else kind
