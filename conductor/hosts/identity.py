"""Names this conductor to one host: the id made with its database, and the epoch that it speaks with there.

The epoch is the number of this start, unless the host knows a higher one. A host's first answer to a start may tell that: a caller
that is no conductor has raised it. The newest start of a database goes on above it. Once the host has accepted this start, a higher
epoch is of a newer one, and this start must stop.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from conductor.core.conversation import EPOCH_SUPERSEDED, EPOCH_TOO_FAR
from conductor.errors import StatusError
from servicekit.statuses import Refusal

MAX_EPOCH = 2**53  # of a host

_log = structlog.get_logger(__name__)


class Identity:
    """Speaks for this start of the conductor to one host. `is_newest` asks the database, `may_send` the lease."""

    def __init__(
        self,
        conductor_id: str,
        epoch: int,
        is_newest: Callable[[], Awaitable[bool]],
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self.conductor_id = conductor_id
        self.epoch = epoch
        self._is_newest = is_newest
        self._may_send = may_send
        self._is_accepted = False

    async def permit(self) -> None:
        """Returns at once while the lease is held, and never afterwards: what waits here is cancelled with its link."""
        if not self._may_send():
            await asyncio.Event().wait()

    def accept(self) -> None:
        """Notes that the host has let this start act."""
        self._is_accepted = True

    async def is_superseded(self, refusal: Refusal) -> bool:
        """Returns whether this start must stop; takes up the epoch that the host tells where it need not."""
        if refusal.reason not in {EPOCH_SUPERSEDED, EPOCH_TOO_FAR}:
            return False
        known = _known(refusal)
        is_above = refusal.reason == EPOCH_SUPERSEDED
        if is_above and known < self.epoch:
            return False  # the refusal of an earlier request
        if known >= MAX_EPOCH or (is_above and self._is_accepted) or not await self._is_own_database():
            return True
        self.epoch = known + 1
        _log.warning("epoch_changed", epoch=self.epoch, reason=refusal.reason)
        return False

    async def _is_own_database(self) -> bool:
        try:
            return await self._is_newest()
        except StatusError:
            return False


def _known(refusal: Refusal) -> int:
    """Returns the epoch that a host tells, at most the highest one."""
    told = dict(refusal.metadata).get("epoch", "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < len(str(MAX_EPOCH)) else MAX_EPOCH
