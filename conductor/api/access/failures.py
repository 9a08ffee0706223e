"""Bounds what refused calls of a peer cost, which is a line in the log each.

A token cannot be guessed, so a valid token counts also beyond the limit: others may call from the same address.
"""

from collections.abc import Callable

import structlog

from conductor.errors import TooManyFailedTokensError
from servicekit.calls.callers import Caller

WINDOW_SECONDS = 60.0
MOST_FAILURES = 20
MOST_PEERS = 1_000

_log = structlog.get_logger(__name__)


class Failures:
    """Counts the refusals of each peer, since the beginning of its minute."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[str, tuple[float, int]] = {}

    def note_token(self, peer: str) -> None:
        """Counts and logs a failed token; raises TooManyFailedTokensError beyond the limit."""
        address = peer.rpartition(":")[0] or peer  # without the port, which is another one each time
        if (seconds := self._count(address)) > 0:
            raise TooManyFailedTokensError(retry_after=seconds)
        _log.warning("token_refused", peer=address)

    def note_role(self, caller: Caller, needed: str, method: str) -> None:
        """Counts and logs a call beyond the caller's role; beyond the limit it is not logged."""
        if self._count(caller.identity) == 0:
            _log.warning("call_refused", caller=caller.identity, role=caller.role, needed=needed, method=method)

    def _count(self, peer: str) -> float:
        """Counts one; returns how many seconds the peer is beyond the limit, 0 where it is not."""
        now = self._now()
        since, count = self._counts.pop(peer, (now, 0))
        if now - since >= WINDOW_SECONDS:
            since, count = now, 0
        if len(self._counts) >= MOST_PEERS:
            del self._counts[next(iter(self._counts))]  # the one that failed longest ago
        self._counts[peer] = since, count + 1
        return 0.0 if count < MOST_FAILURES else max(1.0, WINDOW_SECONDS - (now - since))
