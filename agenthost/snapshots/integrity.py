"""Watches the snapshots that agents read, and ends their readers when one changes. `core.snapshots.integrity` judges.

A snapshot is checked when a reader comes, when one leaves, and every minute in between. The last costs one `stat` a file, so it
is bounded to a hundredth of a processor, and is rare for huge ones. The check at the end keeps the promise; the checks in between
spare an agent, and its model, an hour of useless reading. A snapshot that is given up is set aside at once, so that conductors
push it again; its readers end.
"""

import asyncio
import contextlib
import errno
import time
from typing import Protocol

import structlog

from agenthost.core.damage import is_shortage
from agenthost.core.snapshots.integrity import Judgement, Look, judge, needs_contents
from agenthost.errors import PreconditionError, ProgramError, ProgramUnavailableError, SnapshotInvalidError
from agenthost.snapshots.store import SnapshotPaths, SnapshotStore

LOOK_SECONDS = 60.0
# This process may lack descriptors for a moment; if it lacks them for longer, it cannot serve anyway.
SHORTAGE_TRIES, SHORTAGE_PAUSE_SECONDS = 60, 1.0
LOOK_SHARE = 0.01  # of the time, at the most, for looking at snapshots that are being read

_log = structlog.get_logger()


class Reader(Protocol):
    """A reader of a snapshot, which ends when the snapshot cannot be trusted any more."""

    violation: str

    def violate(self, text: str) -> None:
        """Ends the reader. Called once at most."""


class SnapshotIntegrity:
    """Keeps the readers of each snapshot on this host."""

    def __init__(self, snapshots: SnapshotStore) -> None:
        self._snapshots = snapshots
        self._readers: dict[str, list[Reader]] = {}
        self._expected: set[Reader] = set()
        self._witnesses: dict[str, str] = {}
        self._judging = asyncio.Lock()  # two readers that leave at once must not both give it up

    def expect(self, commit: str, reader: Reader) -> None:
        """Keeps a snapshot from eviction for a reader that is to come, until it leaves."""
        if reader not in self._expected:
            self._expected.add(reader)
            self._snapshots.eviction.keep(commit)

    async def admit(self, commit: str, reader: Reader) -> tuple[SnapshotPaths, str]:
        """Admits a reader of an unchanged snapshot; returns the snapshot's paths and its witness."""
        self.expect(commit, reader)
        async with self._judging:
            paths = self._snapshots.locate(commit)
            judgement = await self._look(commit)
        if judgement.is_given_up:
            raise PreconditionError(
                "SNAPSHOT_MISSING",
                f"the snapshot {commit} was changed on this host's disk, so it was set aside; nothing ran",
                hint="push it again, and find out which process writes into the host's data directory",
            )
        self.readmit(commit, reader)
        return paths, judgement.witness

    def readmit(self, commit: str, reader: Reader) -> None:
        """Counts a reader whatever the snapshot is like by now: it was admitted by an earlier daemon."""
        self.expect(commit, reader)
        self._readers.setdefault(commit, []).append(reader)

    async def dismiss(self, commit: str, reader: Reader, before: str) -> str:
        """Checks again for a reader that leaves, and tells all readers; returns the witness, empty where it is gone."""
        try:
            if reader.violation:
                return ""
            async with self._judging:
                return (await self._look(commit, before)).witness
        finally:
            self.leave(commit, reader)

    def leave(self, commit: str, reader: Reader) -> None:
        """Forgets a reader. Harmless for one that is not known."""
        readers = [known for known in self._readers.get(commit, ()) if known is not reader]
        if readers:
            self._readers[commit] = readers
        else:
            self._readers.pop(commit, None)
        if reader in self._expected:
            self._expected.remove(reader)
            self._snapshots.eviction.let_go(commit)

    async def watch(self) -> None:
        """Checks all snapshots in use, again and again, so that the readers of a changed one end early."""
        while True:
            begun = time.monotonic()
            for commit in tuple(self._readers):
                async with self._judging:
                    if commit in self._readers:
                        with contextlib.suppress(OSError):  # it was logged, and the next round tries again
                            await self._look(commit)
            taken = time.monotonic() - begun
            await asyncio.sleep(max(LOOK_SECONDS, taken / LOOK_SHARE))

    async def _look(self, commit: str, before: str = "") -> Judgement:
        for _ in range(SHORTAGE_TRIES):
            try:
                return await self._look_once(commit, before)
            except OSError as error:
                _log.warning("snapshot_not_looked_at", snapshot=commit, why=str(error))
                if not is_shortage(error):  # waiting would not help, and others wait
                    raise
                await asyncio.sleep(SHORTAGE_PAUSE_SECONDS)
        return await self._look_once(commit, before)

    async def _look_once(self, commit: str, before: str) -> Judgement:
        """Raises OSError where this process is short of something, which says nothing about the snapshot."""
        try:
            expected = before or self._witnesses.get(commit) or self._snapshots.witness(commit)
            look = Look(expected, await self._snapshots.fingerprint(commit))
        except (OSError, PreconditionError) as error:
            if is_shortage(error):
                raise
            look = Look(before or "a snapshot", "")
        if needs_contents(look):
            look = Look(look.expected, look.seen, await self._damage(commit))
        readers = tuple(self._readers.get(commit, ()))
        judgement = judge(look, in_use=bool(readers))
        if look.seen != look.expected:
            await self._act(commit, judgement, look, readers)
        return judgement

    async def _damage(self, commit: str) -> str:
        try:
            return await self._snapshots.find_damage(commit)
        except (OSError, PreconditionError, SnapshotInvalidError, ProgramError) as error:
            if is_shortage(error):
                raise OSError(str(error)) from error
            if isinstance(error, ProgramUnavailableError):  # its killing says nothing about the contents
                raise InterruptedError(errno.EINTR, str(error)) from error
            return f"its contents cannot be read: {error}"

    async def _act(self, commit: str, judgement: Judgement, look: Look, readers: tuple[Reader, ...]) -> None:
        self._witnesses[commit] = judgement.witness
        for reader in readers:
            reader.violate(judgement.violation)
        if judgement.is_given_up:
            del self._witnesses[commit]
            place = await self._snapshots.set_aside(commit)
            _log.error(
                "snapshot_given_up",
                snapshot=commit,
                readers=len(readers),
                why=judgement.violation or look.damage,
                kept_until_restart=str(place),
            )
        else:
            _log.warning("snapshot_touched", snapshot=commit, why="contents were read again and are right")
