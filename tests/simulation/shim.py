"""Simulated agents with their shims: what an agent will say, and the program that keeps it, whether or not a daemon lives."""

from collections.abc import Generator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

from agenthost.core.ending import Cause
from agenthost.core.output.spool import CHECKED, HEADER, RecordKind
from tests.simulation.agenda import Bell, Process, Task, Wait
from tests.simulation.disk import DiskFull, Folder, Status

if TYPE_CHECKING:
    from tests.simulation.machine import Machine

ORPHAN_SECONDS = 12.0  # with its grace and a late wake-up, below the shortest patience of a simulated flow
GRACE_SECONDS = 2.0
LATE_SECONDS = 1.0
LONG_SECONDS = 130.0  # longer than a host may be silent
LATE_GRACE_SECONDS = 10.0
_CHANNELS = {RecordKind.STDOUT: "answer", RecordKind.STDERR: "log"}
_WORDS = ("one ", "zwölf ", "€ ", "and then ", "…\n", "x" * 30)


@dataclass(frozen=True, slots=True)
class Script:
    """What an agent says, with the pause before each piece, and the code that it leaves with."""

    pieces: tuple[tuple[float, RecordKind, bytes], ...]
    exit_code: int


def write_script(seed: int, attempt: str) -> Script:
    """The same for every attempt of a step: an agent that is asked the same says the same."""
    rng = Random(f"script {seed} {attempt.rpartition('-')[0]}")
    pace = rng.choice((0.01, 0.1, 0.1, 1.0))
    silence = LONG_SECONDS if rng.random() < 0.2 else 0.0
    pieces = []
    for place in range(rng.choice((0, 2, 4, 8, 12, 20))):
        data = f"{place}:{rng.choice(_WORDS)}".encode()
        cut = rng.randint(0, len(data)) if rng.random() < 0.3 else 0  # anywhere, also within a character
        kind = RecordKind.STDOUT if rng.random() < 0.7 else RecordKind.STDERR
        if silence and place == 1:
            pieces.append((silence, kind, b"still there\n"))
        pieces += [(rng.random() * pace, kind, part) for part in (data[:cut], data[cut:]) if part]
    if rng.random() < 0.05:
        pieces.append((0.0, RecordKind.STDOUT, "€".encode()[:2]))  # ends in mid-character
    return Script(tuple(pieces), 3 if rng.random() < 0.03 else 0)


class Shim(Process):
    """Keeps one agent: appends what it says, obeys the lease, writes down how it ended."""

    def __init__(self, machine: "Machine", folder: Folder) -> None:
        super().__init__(machine.agenda)
        self.attempt = folder.start.execution
        self.bell = Bell()  # rings when there is more in the folder
        self._machine = machine
        self._folder = folder
        self._rng = Random(f"shim {machine.seed} {self.attempt}")
        self._stop: Status | None = None
        self._orphaned_at = 0.0
        self._told = Bell()
        self.start(self._keep())

    def renew_lease(self) -> None:
        self._orphaned_at = self.agenda.now + ORPHAN_SECONDS

    def cancel(self) -> None:
        self.stop(Status(Cause.CANCELLED, signal=15))

    def stop(self, status: Status) -> None:
        """Ends the agent for a reason. The first reason stays."""
        if self._stop is None:
            self._stop = status
            self._told.ring()

    def _keep(self) -> Task:
        yield self._rng.random() * 0.2  # setting up
        if self._rng.random() < 0.01:
            yield from self._write_status(Status(Cause.SANDBOX_REFUSED))
            return
        self._machine.begin_life(self.attempt)
        self._folder.is_released = True
        self.bell.ring()
        self.renew_lease()
        self.start(self._watch_lease())
        status = yield from self._listen()
        self._machine.end_life(self.attempt)
        yield from self._write_status(status)

    def _listen(self) -> Generator[Wait, None, Status]:
        script = write_script(self._machine.seed, self.attempt)
        for pause, kind, data in script.pieces:
            yield from self._pass_time(pause)
            if self._stop is not None:
                break
            self._say(kind, data)
        if self._stop is None:
            yield from self._pass_time(self._rng.random())
        if self._stop is None:
            return Status(Cause.EXITED, script.exit_code)
        yield self._rng.random() * GRACE_SECONDS
        if self._rng.random() < 0.3:
            self._say(RecordKind.STDERR, b"stopping\n")
        return self._stop

    def _pass_time(self, seconds: float) -> Task:
        until = self.agenda.now + seconds
        self.after(seconds, self._told.ring)
        while self.agenda.now < until and self._stop is None:
            yield self._told

    def _say(self, kind: RecordKind, data: bytes) -> None:
        spool = self._folder.spool
        if spool is None:
            raise RuntimeError("a shim without a spool")
        try:
            checksum = crc32(data, crc32(CHECKED.pack(kind, len(data))))
            spool.append(HEADER.pack(kind, len(data), checksum) + data)
        except DiskFull:
            self._machine.seen["agent ended by a full disk"] += 1
            self.stop(Status(Cause.DISK_FULL, signal=9))
        else:
            self._machine.hear(self.attempt, _CHANNELS[kind], data)
            self.bell.ring()

    def _watch_lease(self) -> Task:
        while (left := self._orphaned_at - self.agenda.now) > 0:
            due = self.agenda.now + left
            yield left
            if self.agenda.now > due + LATE_SECONDS:
                self._orphaned_at = max(self._orphaned_at, self.agenda.now + LATE_GRACE_SECONDS)
        if self._stop is None:
            self._machine.seen["agent orphaned"] += 1
        self.stop(Status(Cause.ORPHANED, signal=15))

    def _write_status(self, status: Status) -> Task:
        """The spool is synced before the status, so that a status stands for a whole spool. Its place was taken at the start."""
        if self._folder.spool is not None:
            self._folder.spool.sync()
        yield self._rng.random() * 0.01
        self._folder.status = status
        self.bell.ring()
        yield self._rng.random() * 0.01
        self._folder.is_status_synced = True
        self._machine.forget(self)
