"""Bounds what the failed tokens of a peer cost, which is a line in the log each.

A token cannot be guessed, so a valid token counts also beyond the limit: others may call from the same address.
"""

from collections.abc import Callable

import structlog

from conductor.errors import TooManyFailedTokensError

WINDOW_SECONDS = 60.0
MOST_FAILURES = 20
MOST_PEERS = 1_000

_log = structlog.get_logger(__name__)


class Failures:
    """Counts the failed tokens of each peer, since the beginning of its minute."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[str, tuple[float, int]] = {}

    def note(self, peer: str) -> None:
        """Counts and logs one; raises TooManyFailedTokensError beyond the limit."""
        address = peer.rpartition(":")[0] or peer  # without the port, which is another one each time
        now = self._now()
        since, count = self._counts.pop(address, (now, 0))
        if now - since >= WINDOW_SECONDS:
            since, count = now, 0
        if len(self._counts) >= MOST_PEERS:
            del self._counts[next(iter(self._counts))]  # the one that failed longest ago
        self._counts[address] = since, count + 1
        if count < MOST_FAILURES:
            _log.warning("token_refused", peer=address)
        else:
            raise TooManyFailedTokensError(retry_after=max(1.0, WINDOW_SECONDS - (now - since)))
