"""The service's side of worker processes: starts them in time, asks them frame by frame, kills them at their limits.

A worker that hit a limit is not used again, and its question fails with that limit. The question is not retried, because its result
is a pure function, and so is running out of memory. A worker that was killed or stopped from outside, or that got no processor, is
replaced, and its question is retried a few times, each time with more time. Questions that waited in its pipe go to the next
worker. Small questions may wait there, so that a worker need not idle while its last answer is processed.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Self

import structlog

from conductor.errors import ProgramError
from conductor.evaluation.workers.fair_queue import FairQueue
from conductor.evaluation.workers.frames import PREFIX, Frame, encode, header_size, read_header, split
from conductor.evaluation.workers.limits import MAX_ANSWER_BYTES, MAX_CPU_SECONDS, MAX_MEMORY_BYTES, MAX_REQUEST_BYTES
from servicekit import programs

log = structlog.get_logger(__name__)

PROGRAM = ("-I", "-m", "conductor.evaluation.workers.worker")
START_SECONDS = 30.0
# This process may lack descriptors or memory for a while. No agent must run again for that.
START_PAUSES_SECONDS = (0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
# How long after the service an unused worker starts, and how long a job waits before it gets another worker: about the time that a
# process takes to start.
SETTLING_SECONDS = 1.0
PATIENCE_SECONDS = 0.25
# A larger question is written only when its turn comes: it would fill the service's memory.
MAX_WAITING_BYTES = 1024 * 1024
# A worker that got less of the processor than this share was disturbed. Each try has twice the time of the last.
FAIR_SHARE = 0.8
TRIES = 3
# Signals that no question can cause. (Running out of memory or stack causes others.)
_SENT_BY_OTHERS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})


class LimitHitError(Exception):
    """An evaluation hit a limit; the message names it."""


class WorkerBrokenError(Exception):
    """A worker ended by itself: a defect of this program, or of the machine."""


class _DisturbedError(Exception):
    """A worker was disturbed from outside; the message says how."""


class Worker:
    """One worker process at a time. It may be asked while it is busy: the question waits in its pipe."""

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self._running: programs.Running | None = None
        self._writing = asyncio.Lock()
        # Answers come in the order of questions, so each waits for the one before it.
        self._last = asyncio.Event()
        self._last.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> programs.Running:
        """Starts the process, if there is none, and waits until it is ready. Raises WorkerBrokenError after some attempts."""
        for pause in (0.0, *START_PAUSES_SECONDS):
            if self._running is not None:
                return self._running
            await asyncio.sleep(pause)
            try:
                self._running = await self._start()
            except (ProgramError, TimeoutError) as error:
                await self.stop()
                log.warning("worker_start_failed", error=str(error))
        if self._running is None:
            raise WorkerBrokenError("cannot start a worker process")
        return self._running

    async def warm(self) -> None:
        """Starts the process before it is asked anything."""
        async with self._writing:
            await self.start()

    async def stop(self) -> None:
        """Ends the process at once."""
        self._running = None
        # Another one may start while this one ends.
        stack, self._stack = self._stack, contextlib.AsyncExitStack()
        await stack.aclose()

    async def ask(self, frame: Frame, seconds: float) -> Frame:
        """Returns the answer to a frame; `seconds` count from when the one before it was answered.

        Raises LimitHitError or WorkerBrokenError; then the process is gone, and waiting questions go to another one.
        """
        for attempt in range(TRIES):
            try:
                return await self._ask(frame, seconds, seconds * 2**attempt)
            except _DisturbedError as error:
                log.warning("worker_disturbed", why=str(error), attempt=attempt + 1)
                why = str(error)
        raise WorkerBrokenError(f"something on this machine disturbs its worker process: {why}")

    async def _ask(self, frame: Frame, seconds: float, wall_seconds: float) -> Frame:
        data = encode(frame)
        if len(data) > MAX_REQUEST_BYTES:
            raise LimitHitError(f"what it needs has {len(data)} bytes; the limit is {MAX_REQUEST_BYTES}")
        while True:
            answered = asyncio.Event()
            try:
                running, before = await self._put(data, answered)
                await before.wait()
                if running is self._running:
                    return await self._answer(running, seconds, wall_seconds)
            except asyncio.CancelledError:
                # The answer would come to another question.
                await self.stop()
                raise
            finally:
                answered.set()

    async def _put(self, data: bytes, answered: asyncio.Event) -> tuple[programs.Running, asyncio.Event]:
        """Writes a question behind those that wait. Returns the process, and the event of the question before."""
        async with self._writing:
            running = await self.start()
            before, self._last = self._last, answered
            if len(data) > MAX_WAITING_BYTES:
                await before.wait()
            running.feed(data)  # a worker that reads nothing is noticed while waiting for its answer
        return running, before

    async def _answer(self, running: programs.Running, seconds: float, wall_seconds: float) -> Frame:
        before = _processor_seconds(running)
        try:
            async with asyncio.timeout(wall_seconds):
                answer = await _read(running)
        except TimeoutError as error:
            used = _processor_seconds(running) - before
            await self.stop()
            if used < seconds * FAIR_SHARE:
                raise _DisturbedError(f"{max(0.0, used):.1f} s of the processor in {wall_seconds:g} s") from error
            raise LimitHitError(f"it takes more than {seconds:g} s") from error
        except ProgramError as error:
            raise await self._explained(running) from error
        if "limit" in answer.header:
            await self.stop()
            raise LimitHitError(str(answer.header["limit"]))
        return answer

    async def _start(self) -> programs.Running:
        started = programs.start(sys.executable, *PROGRAM, env={}, timeout_seconds=None)
        running = await self._stack.enter_async_context(started)
        async with asyncio.timeout(START_SECONDS):
            await _read(running)
        return running

    async def _explained(self, running: programs.Running) -> Exception:
        """Returns the reason why a worker ended in the middle of its answer."""
        completed = await running.finish()
        await self.stop()
        if completed.returncode == -signal.SIGXCPU:
            return LimitHitError(f"it takes more than {MAX_CPU_SECONDS} s of processor time")
        if "MemoryError" in completed.complaint or "bad_alloc" in completed.complaint:
            return LimitHitError(f"it needs more than {MAX_MEMORY_BYTES // 1024**2} MiB of memory")
        if -completed.returncode in _SENT_BY_OTHERS:
            return _DisturbedError(f"it was ended by {signal.Signals(-completed.returncode).name}")
        log.error("worker_broke", returncode=completed.returncode, complaint=completed.complaint)
        return WorkerBrokenError(f"its worker process ended with status {completed.returncode}")


def _processor_seconds(running: programs.Running) -> float:
    try:
        return running.processor_seconds()
    except OSError:  # it ended just now, or this process has no free descriptor
        return 0.0


async def _read(running: programs.Running) -> Frame:
    header, sizes = read_header(await running.read_exactly(header_size(await running.read_exactly(PREFIX.size))))
    if sum(sizes) > MAX_ANSWER_BYTES:
        raise ProgramError("a worker's answer is larger than it may be")
    return Frame(header, split(await running.read_exactly(sum(sizes)), sizes))


Job = Callable[[Worker], Awaitable[None]]
NewWorker = Callable[[], Worker]


class Lane:
    """Some workers, and the jobs that wait for them. Owners take turns, and each has at most `jobs_at_once` jobs at a time.

    So many jobs share a worker. With several workers it is one: an owner whose jobs hang would hold them all. A process starts when
    it is needed, or a while after the service, which starts faster alone. All workers but the first start when a job waits.
    """

    def __init__(self, name: str, workers: int, jobs_at_once: int = 1, new_worker: NewWorker = Worker) -> None:
        self._name = name
        self._workers = workers
        self._jobs_at_once = jobs_at_once
        self._new_worker = new_worker
        self._queue: FairQueue[Job] = FairQueue(jobs_at_once)

    def put(self, owner: str, job: Job) -> None:
        """Adds a job. It must not raise: no caller waits for it."""
        self._queue.put(owner, job)

    async def call(self, owner: str, frame: Frame, seconds: float) -> Frame:
        """Asks a worker in turn, and returns its answer."""
        answered: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()

        async def job(worker: Worker) -> None:
            if answered.done():  # the caller has gone
                return
            try:
                answer = await worker.ask(frame, seconds)
            except (LimitHitError, WorkerBrokenError) as error:
                if not answered.done():
                    answered.set_exception(error)
            else:
                if not answered.done():
                    answered.set_result(answer)

        self.put(owner, job)
        return await answered

    async def run(self) -> None:
        """Serves until it is cancelled; its workers end with it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve(SETTLING_SECONDS))
            for _ in range(self._workers - 1):
                group.create_task(self._serve_in_reserve())

    async def _serve_in_reserve(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLING_SECONDS):
                await self._queue.until_one_waits(PATIENCE_SECONDS)
        await self._serve(0.0)

    async def _serve(self, warm_after_seconds: float) -> None:
        async with self._new_worker() as worker, asyncio.TaskGroup() as group:
            group.create_task(self._warm(worker, warm_after_seconds))
            for _ in range(self._jobs_at_once):
                group.create_task(self._work(worker))

    async def _work(self, worker: Worker) -> None:
        while True:
            owner, job = await self._queue.take()
            try:
                await job(worker)
            finally:
                self._queue.done(owner)

    async def _warm(self, worker: Worker, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        try:
            await worker.warm()
        except WorkerBrokenError as error:
            log.error("worker_missing", lane=self._name, error=str(error))  # noqa: TRY400 - no traceback helps here
