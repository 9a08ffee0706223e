"""Measures what a user feels: how late words are at a watcher, and how long a decision takes. Every error of a call is kept."""

import asyncio
import re
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import grpc

from conductor.v1 import run_service_pb2_grpc
from conductor.v1.run_service_pb2 import Output, PauseRunRequest, ResumeRunRequest, WatchRunRequest

WORD = re.compile(r"\d{19}")
PROBE_SECONDS = 0.1
CALL_SECONDS = 10.0


class Ears:
    """Watches runs, and lets one wait and go on in turns."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: run_service_pb2_grpc.RunServiceAsyncStub = run_service_pb2_grpc.RunServiceStub(channel)
        self._heard: list[tuple[int, int]] = []  # when a word was due, and when it was received
        self._tasks: set[asyncio.Task[None]] = set()
        self.errors: list[str] = []

    def watch(self, run: str) -> None:
        """Begins to watch a run."""
        self._begin(self._watch(run))

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def clear(self) -> None:
        """Forgets what was heard."""
        self._heard.clear()

    def milliseconds_late(self, begin: float, end: float) -> list[float]:
        """Returns by how much each word was late that was due between two instants and has come."""
        return [(heard - due) / 1e6 for due, heard in self._heard if begin <= due / 1e9 < end]

    async def time_decisions(self, run: str, seconds: float) -> list[float]:
        """Returns the milliseconds from each call to its answer, which follows the commit of a decision."""
        taken, until, is_paused = [], time.monotonic() + seconds, False
        while time.monotonic() < until:
            begun = time.monotonic()
            try:
                if is_paused:
                    await self._stub.ResumeRun(ResumeRunRequest(name=run), timeout=CALL_SECONDS)
                else:
                    await self._stub.PauseRun(PauseRunRequest(name=run), timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                self.errors.append(f"a decision: {error.code().name} {error.details()}")
                break
            is_paused = not is_paused
            taken.append(1000 * (time.monotonic() - begun))
            await asyncio.sleep(PROBE_SECONDS)
        if is_paused:
            with suppress(grpc.aio.AioRpcError):
                await self._stub.ResumeRun(ResumeRunRequest(name=run), timeout=CALL_SECONDS)
        return taken

    async def _watch(self, run: str) -> None:
        try:
            async for message in self._stub.WatchRun(WatchRunRequest(name=run)):
                if message.output.channel == Output.CHANNEL_ANSWER:
                    now = time.time_ns()
                    self._heard += [(int(word), now) for word in WORD.findall(message.output.text)]
        except grpc.aio.AioRpcError as error:
            self.errors.append(f"a watch: {error.code().name} {error.details()}")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
