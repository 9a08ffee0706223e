"""A workbench for attempts: a snapshot, a sandbox, and a place for each attempt's folder. Real processes, nothing faked."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agenthost.attempt.launch import Launch
from agenthost.attempt.process import AttemptProcess
from agenthost.attempt.records import Status
from agenthost.core.admission.order import Limits
from agenthost.core.output.spool import RecordKind, SpoolReader
from agenthost.sandbox.find import Sandbox, find_sandbox, python_runtime
from tests.kit.processes import processes_with

PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Done:
    """An attempt that ended, and what it left in its spool."""

    status: Status
    records: list[tuple[int, bytes]]

    @property
    def stdout(self) -> str:
        return b"".join(data for kind, data in self.records if kind == RecordKind.STDOUT).decode()

    @property
    def stderr(self) -> str:
        return b"".join(data for kind, data in self.records if kind == RecordKind.STDERR).decode()


@dataclass(slots=True)
class Workbench:
    folder: Path
    sandbox: Sandbox
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    async def make(cls, folder: Path) -> "Workbench":
        tree = folder / "tree"
        tree.mkdir(mode=0o755)
        (tree / "hello.txt").write_text("hello\n")
        (tree / "hello.txt").chmod(0o644)
        return cls(folder, await find_sandbox(folder))

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    async def spawn(self, *argv: str, **launch: Any) -> AttemptProcess:
        number = next(self.numbers)
        place = self.folder / f"attempt{number}"
        place.mkdir()
        limits = Limits(**{name: launch.pop(name) for name in Limits.__slots__ if name in launch})
        launch = {
            "execution": f"attempt{number}",
            "tree": self.tree,
            "own_paths": python_runtime(),
            "limits": limits,
        } | launch
        return await AttemptProcess.spawn(place, Launch(argv=argv, **launch), self.sandbox)

    async def run(self, *argv: str, **launch: Any) -> Done:
        async with await self.spawn(*argv, **launch) as attempt:
            return await finish(attempt)

    def spawned(self) -> list[str]:
        """Returns the lines of the spawn log."""
        log = self.sandbox.spawn_log
        return log.read_text().splitlines() if log.exists() else []


async def until_longer(attempt: AttemptProcess, seen: int) -> None:
    """Waits until the spool is longer than what was seen, or nothing more will come."""
    while not (attempt.has_ended or attempt.spool_size() > seen):
        await attempt.change.subscribe().wait()


def replace_bwrap(sandbox: Sandbox, folder: Path, script: str) -> Sandbox:
    """The same with a bubblewrap that is a script, in a new folder: who becomes bubblewrap may look into no other of the host's."""
    folder.mkdir()
    (folder / "bwrap").write_text(script)
    (folder / "bwrap").chmod(0o755)
    folder.chmod(0o755)
    return replace(sandbox, folder=folder, program="bwrap")


async def finish(attempt: AttemptProcess) -> Done:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await attempt.ended()
    status = attempt.status()
    assert status is not None, "the shim was lost"
    return Done(status, records(attempt))


def records(attempt: AttemptProcess) -> list[tuple[int, bytes]]:
    pieces = SpoolReader().feed(attempt.read_spool(0, attempt.spool_size()))
    return [(piece.kind, piece.data) for piece in pieces]


async def output(attempt: AttemptProcess, text: str) -> None:
    """Waits until the agent has said something."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            seen = attempt.spool_size()
            if text in Done(None, records(attempt)).stdout:  # type: ignore[arg-type]
                return
            assert not attempt.has_ended, f"it ended without {text!r}: {attempt.status()} {records(attempt)}"
            await until_longer(attempt, seen)


async def gone(word: str) -> None:
    """Waits until no process has this word in its command line."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := processes_with(word):
        assert time.monotonic() < deadline, f"{left} live on"
        await asyncio.sleep(0.01)
