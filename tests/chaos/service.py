"""One service of a world, life after life: started, asked, killed; and whether each of its lives ended as it had to."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.crash_points import FUSE

_AWAY = re.compile("cannot connect to the database|cannot be used now|was lost")
REPOSITORY = Path(__file__).parent.parent.parent


@dataclass
class Service:
    """One service, life after life."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]
    entrance: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    is_asked: bool = False
    may_fail: bool = False  # at its start
    wrong_ends: list[str] = field(default_factory=list)

    def start(self, fuse: str = "") -> None:
        """Begins the next life; notes what was wrong with the end of the one before."""
        if self.process is not None:
            self._note_end(self.process.wait())
        self.is_asked = False
        self.lay_fuse(fuse)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.entrance, sys.executable, "-m", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=REPOSITORY,
                env={**os.environ, **self.environment, FUSE: str(self._fuse)},
            )

    def lay_fuse(self, fuse: str) -> None:
        """Has it die at a point, also where it lives already."""
        beside = self._fuse.with_suffix(".new")
        beside.write_text(fuse)
        beside.rename(self._fuse)  # as a whole

    @property
    def _fuse(self) -> Path:
        return self.log.with_suffix(".fuse")

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask(self) -> None:
        """Asks it to end, which it then must."""
        self.is_asked = True
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kills it, also where it was asked to end."""
        self.is_asked = False
        self.signal(signal.SIGKILL)

    def _note_end(self, code: int) -> None:
        # One that is asked before it listens for that ends by the signal itself.
        good = {0, -signal.SIGTERM, -signal.SIGINT} if self.is_asked else {-signal.SIGKILL}
        if self.has_given_up:
            return
        if code not in good:
            asked = "was asked to end, and " if self.is_asked else ""
            self.wrong_ends.append(f"{self.name} {asked}ended with {code}")

    @property
    def has_given_up(self) -> bool:
        """Returns whether it ended by itself because its database was away when it started."""
        code = self.process.poll() if self.process is not None else None
        return self.may_fail and code == 1 and _AWAY.search(self.tail()[-1000:]) is not None

    def signal(self, number: int) -> None:
        if self.is_alive:
            assert self.process is not None
            self.process.send_signal(number)

    async def died(self, seconds: float) -> bool:
        """Waits for its death; tells whether it came in time."""
        deadline = time.monotonic() + seconds
        while self.is_alive:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]
