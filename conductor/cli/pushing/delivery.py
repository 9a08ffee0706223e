"""Delivers snapshots: asks what is lacking, makes the pack, sends it, and goes on where a cut call ended."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import grpc

from conductor.cli.connection import Connection
from conductor.cli.pushing.cache import Pack, WorkspaceCache
from conductor.cli.pushing.sending import ask_missing, send_pack
from conductor.cli.text.failure import CommandError
from conductor.cli.text.wording import size
from conductor.snapshots.storing.history import History
from conductor.v1 import workspace_service_pb2 as pb
from servicekit.printing.page import say
from servicekit.printing.terminal_text import one_line
from servicekit.statuses import read_refusal

# Without a byte that went over, a push is given up after so long.
PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 2.0
TOLD_SECONDS = 3.0
Result = TypeVar("Result")
PASSING = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"})


@dataclass(slots=True)
class _Progress:
    """Tells of a push that takes long, now and then."""

    furthest: int = 0
    moved_at: float = 0.0
    told_at: float = 0.0

    def note(self, sent: int, whole: int) -> None:
        now = time.monotonic()
        if sent > self.furthest:
            self.furthest, self.moved_at = sent, now
        if now - self.told_at > TOLD_SECONDS and sent < whole:
            self.told_at = now
            say(f"  {size(sent)} of {size(whole)} …", err=True)


class Delivery:
    """Delivers the snapshots of one workspace over one connection."""

    def __init__(self, connection: Connection, cache: WorkspaceCache) -> None:
        self._connection = connection
        self._cache = cache
        self.sent_bytes = 0
        # What the conductor has may be damaged there: everything goes over once more.
        self._builds_upon_nothing = False

    def finish_earlier(self, snapshot: str) -> None:
        """Sends the rest of a pack that an earlier command could not send whole, where the conductor kept some of it."""
        pack = self._cache.kept()
        if pack is None or pb.SnapshotOffer.FromString(pack.offer).snapshot == snapshot:
            return  # the same snapshot is offered again anyway
        say("goes on with the push that was cut …", err=True)
        with suppress(grpc.RpcError, CommandError):  # this snapshot can be sent without that one
            self._send(pack)
        self._cache.forget()

    def deliver(self, history: History, relatives: tuple[str, ...], origin: pb.SnapshotOrigin) -> None:
        """Returns when the conductor has a snapshot, which is the first commit of its history."""
        offer = pb.SnapshotOffer(
            snapshot=history.commits[0],
            commits=(*history.commits, *relatives),
            shallow=sorted(history.shallow),
            origin=origin,
        )
        pack = self._kept(offer) or self._make(offer, history, relatives)
        while pack is not None and not self._send(pack):
            pack = self._make(offer, history, relatives)  # the conductor let go what it builds upon
        self._cache.forget()

    def _kept(self, offer: pb.SnapshotOffer) -> Pack | None:
        pack = self._cache.kept()
        return pack if pack is not None and pb.SnapshotOffer.FromString(pack.offer).snapshot == offer.snapshot else None

    def _make(self, offer: pb.SnapshotOffer, history: History, relatives: tuple[str, ...]) -> Pack | None:
        """Makes the pack of what is lacking; None where nothing is."""
        missing = self._patiently(lambda _: ask_missing(self._connection, offer))
        if missing is None:
            return None
        if self._builds_upon_nothing:
            missing = frozenset(offer.commits)
        have = frozenset(history.commits) - missing
        bases = tuple(other for other in relatives if other not in missing)
        return self._cache.pack(history, have, bases, offer.SerializeToString())

    def _send(self, pack: Pack) -> bool:
        """Sends a pack; False where the conductor lacks what it builds upon, or refuses it for that."""
        try:
            pushed = self._patiently(lambda progress: send_pack(self._connection, pack, progress.note))
        except grpc.RpcError as error:
            if read_refusal(error).reason != "SNAPSHOT_INVALID" or not pack.have:
                raise
            self._builds_upon_nothing = True
            return False
        self.sent_bytes += pushed.received_bytes if pushed is not None else 0
        return pushed is not None

    def _patiently(self, ask: Callable[[_Progress], Result]) -> Result:
        """Repeats what fails for a while, as long as it gets further."""
        progress = _Progress(moved_at=time.monotonic(), told_at=time.monotonic())
        while True:
            try:
                return ask(progress)
            except grpc.RpcError as error:
                refusal = read_refusal(error)
                if refusal.code not in PASSING or time.monotonic() - progress.moved_at > PATIENCE_SECONDS:
                    raise
                say(f"  the push was cut ({one_line(refusal.message or refusal.code, 120)}); goes on …", err=True)
                time.sleep(PAUSE_SECONDS)
