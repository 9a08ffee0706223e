"""Measures pushes of a workspace of 300 MB: the first, one after a changed line, one without a change, one that a kill cut.

A conductor serves on loopback, and the command line's own client pins and sends: so the figures are those of
`conductor run … --push` on a fast network, without the start of the command. The cut one ends when half of its pack has gone over
and the conductor is killed; it goes on as the conductor serves again, and every byte that is sent is counted.
"""

import asyncio
import contextlib
import io
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grpc

from benchmarks.measuring import Report, must, percentile
from benchmarks.recovery import until_serving
from conductor.cli.connection import Connection
from conductor.cli.pushing import sending
from conductor.cli.pushing.cache import Pack
from conductor.cli.pushing.push import push_workspace
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import workspace_service_pb2
from tests.kit.repositories import git
from tests.kit.services import Service, free_port

MEBIBYTE = 1024 * 1024
WORDS = [f"word{number:04d}" for number in range(2000)]


class Wire:
    """Counts the bytes of packs that are sent, and kills the conductor once in the middle where that is asked for."""

    def __init__(self, service: Service) -> None:
        self.sent = 0
        self.length = 0
        self.kills = False
        self._service = service
        self._real = sending.chunks_of
        sending.chunks_of = self._chunks

    def close(self) -> None:
        sending.chunks_of = self._real

    def _chunks(
        self, pack: Pack, start: int, progress: sending.Progress
    ) -> Iterator[workspace_service_pb2.PushWorkspaceRequest]:
        self.length = pack.byte_count
        for request in self._real(pack, start, progress):
            self.sent += len(request.chunk)
            yield request
            if self.kills and self.sent > pack.byte_count // 2:
                self.kills = False
                self._service.kill()
                self._service.start()


def make_tree(folder: Path, size: int) -> None:
    """Makes a committed tree: three quarters of text in files of 1 to 40 KiB, the rest in files that do not compress."""
    chance, made, number = random.Random(13), 0, 0  # noqa: S311 - always the same tree
    while made < size:
        number += 1
        place = folder / f"part{number % 40}" / f"file{number}.{'bin' if number % 4 == 0 else 'txt'}"
        place.parent.mkdir(parents=True, exist_ok=True)
        length = chance.randrange(1024, 40 * 1024)
        text = " ".join(chance.choices(WORDS, k=length // 9)).encode()
        made += place.write_bytes(chance.randbytes(length) if place.suffix == ".bin" else text)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "all")


def push(address: str, workspace: Path) -> tuple[float, pb.Workspace]:
    """Pushes; returns the seconds that it took."""
    begun = time.perf_counter()
    with grpc.insecure_channel(address) as channel, contextlib.redirect_stderr(io.StringIO()):
        pushed = push_workspace(Connection(channel), pb.Workspace(path=str(workspace)))
    return time.perf_counter() - begun, pushed


def plan(address: str, workspace: pb.Workspace) -> float:
    """Plans a run of a pushed workspace, which copies it into the conductor's own store; returns the seconds that it took."""
    begun = time.perf_counter()
    with grpc.insecure_channel(address) as channel:
        request = pb.PlanRunRequest(run=pb.CreateRunRequest(flow="flows/survey", workspace=workspace))
        Connection(channel).runs.PlanRun(request, timeout=300)
    return time.perf_counter() - begun


def change(workspace: Path, number: int) -> None:
    """Changes a line in the middle of a file of some kilobytes."""
    file = workspace / "part1" / "file1.txt"
    text = file.read_text()
    file.write_text(f"{text[:3000]}\nchanged {number}\n{text[3000:]}")


class Rounds:
    """Pushes of one workspace to one conductor, with the figures of every round."""

    def __init__(self, folder: Path, size: int) -> None:
        self.found: dict[str, list[float]] = {}
        self._folder = folder
        self._workspace = folder / "workspace"
        self._address = f"127.0.0.1:{free_port()}"
        make_tree(self._workspace, size)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        command = ["conductor.cli", "serve", "--listen", self._address, "--data", str(folder / "conductor")]
        self._service = Service(command, folder / "log")
        self._wire = Wire(self._service)

    def close(self) -> None:
        self._wire.close()
        self._service.stop()

    def cut(self) -> None:
        """Pushes everything while the conductor is killed."""
        with self._serving():
            self._wire.sent, self._wire.kills = 0, True
            seconds, _ = push(self._address, self._workspace)
            must(not self._wire.kills, "the conductor was killed in the middle")
            self._note("cut in the middle: time", seconds)
            self._note("cut in the middle: sent in all, part", self._wire.sent / self._wire.length)

    def usual(self, number: int) -> None:
        """Pushes everything, then nothing, then a changed line."""
        with self._serving():
            self._push("first push")
            self._push("nothing changed")
            change(self._workspace, number)
            self._push("one changed line")

    def _push(self, what: str) -> None:
        self._wire.sent = 0
        seconds, pushed = push(self._address, self._workspace)
        self._note(f"{what}: time", seconds)
        self._note(f"{what}: sent", self._wire.sent)
        self._note(f"{what}, then planning a run of it: time", plan(self._address, pushed))

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
        """Serves, with nothing of an earlier push on either side."""
        for place in ("cache", "conductor"):
            shutil.rmtree(self._folder / place, ignore_errors=True)
        self._service.start()
        until_serving(self._service, self._address)
        yield
        self._service.stop()

    def _note(self, what: str, value: float) -> None:
        self.found.setdefault(what, []).append(value)


async def measure(report: Report) -> None:
    size, rounds = (2 * MEBIBYTE, 1) if report.is_short else (300 * MEBIBYTE, 3)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        await asyncio.to_thread(_measure, report, Path(name), size, rounds)


def _measure(report: Report, folder: Path, size: int, rounds: int) -> None:
    pushes = Rounds(folder, size)
    try:
        for number in range(rounds):
            pushes.cut()
            pushes.usual(number)
    finally:
        pushes.close()
    found = pushes.found
    for what, values in found.items():
        unit = "s" if what.endswith("time") else "bytes" if what.endswith("sent") else "of the pack"
        report.add(what, unit, values)
    report.at_most("a changed line: bytes sent", max(found["one changed line: sent"]), 2048)
    report.at_most("a cut push: sent, of the pack", max(found["cut in the middle: sent in all, part"]), 1.2)
    report.at_most("the first push", percentile(found["first push: time"], 0.5), 60, " s")
