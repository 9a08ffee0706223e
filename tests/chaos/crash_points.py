"""The named moments at which a process of ours is killed, and the fuse that kills it there.

No product code knows of this. The wrappers (`tests.chaos.conductor`, `tests.chaos.agenthost`) put a fuse at the seams of the
parts that they start, and the fuse ends its own process with SIGKILL when its point is met for the n-th time. It burns only
while enough streams are open and alive, because a crash that no stream feels proves nothing.

Which fuse a process has stands in a file, as `POINT:COUNT`; it may change while the process lives. What the fuse did is one line in
another file, written before the kill.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

FUSE = "CHAOS_FUSE"
DEEDS = "CHAOS_DEEDS"
ADMISSIONS = "CHAOS_ADMISSIONS"
LEAST_STREAMS = 4
LOOK_SECONDS = 0.05

# The points of design/features.md, in the words of the code. A point in a transaction is met on its thread.
CONDUCTOR_POINTS: Mapping[str, str] = {
    "K1": "a run is committed, nothing of it is dispatched",
    "K1-uncommitted": "a run is written, its transaction is not committed",
    "K2": "an attempt is committed, its Start is not sent",
    "K3": "the host's word that the agent runs is read, not taken",
    "K4": "text is written, its transaction is not committed",
    "K4-committed": "text is committed, its acknowledgement is not sent",
    "K5": "the end of an attempt is read, not committed",
    "K5-uncommitted": "the end of an attempt is written, its transaction is not committed",
    "K5-committed": "the end of an attempt is committed, its acknowledgement is not sent",
    "K6": "a result is stored, its check is answered and the answer is not taken",
    "K7": "a step has succeeded and that is committed, what follows is not dispatched",
    "K7-turn": "a turn is checked and that is committed, its agent is not told what follows",
    "K8": "the request to repair an answer is committed, it is not sent",
    "K8-applied": "the host's word that the agent has the request is read, not taken",
    "K9": "a gate is opened and that is committed, its run waits",
    "K10": "a decision about a gate is committed, what follows is not dispatched",
    "K11": "the report is rendered, the answer is not taken",
    "K12": "a cancel is committed, no host is told",
    "K13": "a fold is rendered, the answer is not taken",
}
HOST_POINTS: Mapping[str, str] = {
    "H-accepted": "a Start is accepted and its folder durable, nothing is spawned",
    "H-spawned": "the shim is spawned, the conductor is not told",
    "H-cut": "text is cut into a frame and that is written, the frame is not sent",
    "H-ended": "the agent has ended, `finished` is not sent",
    "H-acknowledged": "the end is acknowledged, the tombstone is not written",
    "H-buried": "the tombstone is written, the folder is not deleted",
    "H-adopting": "a restarted daemon has adopted some of what it found, not all",
}
# Its row is not built yet: script's stream broken.
MISSING_POINTS = ("K14",)


@dataclass(slots=True)
class Fuse:
    """Ends this process when its point has been met often enough while enough streams were open."""

    point: str = ""
    count: int = 0
    deeds: Path | None = None
    streams: "dict[object, Callable[[], bool]]" = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    file: Path | None = None
    _read: str = ""
    _look_at: float = 0.0

    @classmethod
    def from_environment(cls) -> Self:
        deeds, file = os.environ.get(DEEDS), os.environ.get(FUSE)
        return cls(deeds=Path(deeds) if deeds else None, file=Path(file) if file else None)

    def _look(self) -> None:
        """Takes what its file says, where that has changed."""
        now = time.monotonic()
        if self.file is None or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if (text := self.file.read_text()) != self._read:
            self._read = text
            self.point, _, count = text.partition(":")
            self.count = int(count or 0)

    @contextmanager
    def stream(self, is_live: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Counts a stream for as long as it is open; `is_live` tells whether an agent speaks on it."""
        key = object()
        self.streams[key] = is_live
        try:
            yield
        finally:
            del self.streams[key]

    def meet(self, point: str, streams: int | None = None) -> None:
        """Burns, or not. `streams`: how many attempts are at stake, where no stream can be open yet."""
        self._look()
        if point != self.point:
            return
        # A list at once, because the store's thread may ask while streams come and go.
        at_stake = sum(is_live() for is_live in list(self.streams.values())) if streams is None else streams
        if at_stake < LEAST_STREAMS:
            return
        self.count -= 1
        if self.count <= 0:
            self._burn(at_stake)

    def _burn(self, streams: int) -> None:
        if self.deeds is not None:
            lived = time.monotonic() - self.begun
            deed = {"point": self.point, "streams": streams, "seconds": round(lived, 3), "pid": os.getpid()}
            note(self.deeds, deed)
        os.kill(os.getpid(), signal.SIGKILL)


def note(path: Path, line: Mapping[str, object]) -> None:
    """Adds a line to a file at once and whole, whatever happens to this process next."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.write(descriptor, json.dumps(line).encode() + b"\n")
    os.close(descriptor)


def wrap(owner: object, name: str, make: Callable[[Callable[..., object]], Callable[..., object]]) -> None:
    """Puts something around a method; says so where there is none, so that a renamed seam cannot go unnoticed."""
    method = getattr(owner, name, None)
    if method is None:
        raise AttributeError(f"the seam {owner}.{name} is gone: find its new place in the wrapper")
    setattr(owner, name, make(method))
