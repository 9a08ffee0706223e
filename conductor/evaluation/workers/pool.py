"""The service's side of worker processes: started in time, asked frame by frame, killed at their limits, started again.

A worker that broke is never asked again. What it was at fails with the limit that it hit; it is not tried again, because a
result is a pure function of what was asked, and so is running out of memory. What others do to a worker is not: one that
somebody killed or stopped, or that was left no processor, is replaced, and what it was at is tried again a few times, with more
time each. What only waited in its pipe is asked of the next one. Small questions may wait there, so that a worker need not idle
while its last answer is dealt with.
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
# This process may lack descriptors or memory, say: that passes, and nobody's agent must run again for it.
START_PAUSES_SECONDS = (0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
# How long after the service the workers start that nothing has needed yet, and how long a job waits before it needs another one:
# as long as a process takes to start.
SETTLING_SECONDS = 1.0
PATIENCE_SECONDS = 0.25
# A larger question is only written when its turn has come: it would fill the service's memory meanwhile.
MAX_WAITING_BYTES = 1024 * 1024
# Less of the processor than this share of its time, and a worker was kept from its work. Each try has twice the time of the last.
FAIR_SHARE = 0.8
TRIES = 3
# No question makes a process end itself by one of these. (Running out of memory or stack does, by others.)
_SENT_BY_OTHERS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})


class LimitHitError(Exception):
    """An evaluation hit a limit; the message names it."""


class WorkerBrokenError(Exception):
    """A worker ended by itself: a defect of ours, or of the machine."""


class _DisturbedError(Exception):
    """Others kept a worker from its work; the message says how."""


class Worker:
    """One worker process at a time. It may be asked while it is at something else: the next question then waits in its pipe."""

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self._running: programs.Running | None = None
        self._writing = asyncio.Lock()
        # Answers come in the order of the questions: each waits until the one before it was answered.
        self._last = asyncio.Event()
        self._last.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> programs.Running:
        """Starts the process where there is none, and waits until it is ready. Raises WorkerBrokenError after some attempts."""
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
            raise WorkerBrokenError("no worker process can be started")
        return self._running

    async def warm(self) -> None:
        """Starts the process before it is asked anything."""
        async with self._writing:
            await self.start()

    async def stop(self) -> None:
        """Ends the process, whatever it is doing."""
        self._running = None
        # Another may be started while this one ends.
        stack, self._stack = self._stack, contextlib.AsyncExitStack()
        await stack.aclose()

    async def ask(self, frame: Frame, seconds: float) -> Frame:
        """The answer to a frame; `seconds` count from when the one before it was answered.

        Raises LimitHitError and WorkerBrokenError; the process is then gone. Those who waited behind ask another one.
        """
        for attempt in range(TRIES):
            try:
                return await self._ask(frame, seconds, seconds * 2**attempt)
            except _DisturbedError as error:
                log.warning("worker_disturbed", why=str(error), attempt=attempt + 1)
                why = str(error)
        raise WorkerBrokenError(f"something on this machine keeps its worker process from working: {why}")

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
                # The answer would come when something else is asked.
                await self.stop()
                raise
            finally:
                answered.set()

    async def _put(self, data: bytes, answered: asyncio.Event) -> tuple[programs.Running, asyncio.Event]:
        """Writes a question behind those that wait. Gives whom it was put to, and who is answered before."""
        async with self._writing:
            running = await self.start()
            before, self._last = self._last, answered
            if len(data) > MAX_WAITING_BYTES:
                await before.wait()
            running.feed(data)  # a worker that reads nothing is noticed by whoever waits for its answer
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
        """Why a worker ended in the middle of its answer."""
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
    except OSError:  # it ended just now, or this process has no descriptor left
        return 0.0


async def _read(running: programs.Running) -> Frame:
    header, sizes = read_header(await running.read_exactly(header_size(await running.read_exactly(PREFIX.size))))
    if sum(sizes) > MAX_ANSWER_BYTES:
        raise ProgramError("a worker answered more than it may")
    return Frame(header, split(await running.read_exactly(sum(sizes)), sizes))


Job = Callable[[Worker], Awaitable[None]]
NewWorker = Callable[[], Worker]


class Lane:
    """Some workers and the jobs that wait for them. Owners take turns, and each has at most `jobs_at_once` at a time.

    So many jobs share a worker. More than one only where there is one worker: an owner whose jobs hang would hold them all.
    Its processes start when they are needed, or when the service has found its feet: it does so sooner if it need not share the
    processors with them. All but the first worker are a reserve, needed when a job waits for somebody to take it.
    """

    def __init__(self, name: str, workers: int, jobs_at_once: int = 1, new_worker: NewWorker = Worker) -> None:
        self._name = name
        self._workers = workers
        self._jobs_at_once = jobs_at_once
        self._new_worker = new_worker
        self._queue: FairQueue[Job] = FairQueue(jobs_at_once)

    def waiting(self, owner: str) -> int:
        """How many jobs of an owner wait."""
        return self._queue.waiting(owner)

    def put(self, owner: str, job: Job) -> None:
        """Adds a job. It must not raise: it is the lane's and nobody waits for it."""
        self._queue.put(owner, job)

    async def call(self, owner: str, frame: Frame, seconds: float) -> Frame:
        """Asks a worker in turn and waits for the answer."""
        answered: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()

        async def job(worker: Worker) -> None:
            if answered.done():  # whoever asked went away
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
