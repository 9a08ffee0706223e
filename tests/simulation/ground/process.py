"""A simulated program: an event loop of its own for real asyncio code, in virtual time, which can be frozen and killed.

Each program of a world has a loop, so what it awaits is its own: only the network, its disk and the links to shims lead out of it.
All loops share the agenda, and time passes only when none of them has anything to do.

- Ready callbacks run in asyncio's own order. Chance comes from outside: messages, threads and other programs.
- `asyncio.to_thread` runs its function in one piece after a random while, and its answer comes a random while later.
- A frozen program does what fell due when it is thawed, late, as after SIGSTOP.
- A killed program's tasks never go on: nothing of theirs is cleaned up, as after SIGKILL. `bury` frees what is left of them when
  the world is over, because Python would run their `finally` blocks when it collects them.
"""

import asyncio
import warnings
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context
from itertools import count
from random import Random
from typing import Any
from weakref import WeakSet

from tests.simulation.ground.agenda import Agenda

THREAD_SECONDS = 0.01
RESOLUTION_SECONDS = 1e-5
MOST_WAITS = 10
_numbers = count()


class Killed(BaseException):
    """Unwinds code of a program that was killed in the middle of it."""


class OrderedTask(asyncio.Task[Any]):
    """A task with a place of its own in sets, so that they are gone through in the same order in every life of a world."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._number = next(_numbers)
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class Process(asyncio.AbstractEventLoop):
    """One program that runs. `disk` is what it writes to, `booted` when its machine came up."""

    def __init__(self, agenda: Agenda, name: str, rng: Random, *, disk: Any = None, booted: float = 0.0) -> None:
        self.agenda = agenda
        self.name = name
        self.rng = rng
        self.disk = disk
        self.booted = booted
        self.is_alive = True
        self.is_frozen = False
        self.faults: list[BaseException | str] = []
        self.descriptors: dict[int, str] = {}
        self._held: list[tuple[Callable[[Any], object], Any]] = []
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._corpses: list[asyncio.Task[Any]] = []

    # Its life.

    def start(self, main: Coroutine[Any, Any, object]) -> "asyncio.Task[Any]":
        """Runs a main program; it must not fail."""
        task = self.create_task(main)
        task.add_done_callback(self._take_end)
        return task

    def _take_end(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.faults.append(error)

    def freeze(self) -> None:
        self.is_frozen = True

    def thaw(self) -> None:
        self.is_frozen = False
        held, self._held = self._held, []
        for deed, argument in held:
            self.agenda.plan(self.agenda.now, deed, argument)

    def kill(self) -> None:
        if self.is_alive:
            self.is_alive = False
            self._held.clear()
            self._corpses = [task for task in self._tasks if not task.done()]
            if self.disk is not None:
                self.disk.close_all(self)

    def bury(self) -> None:
        """Frees what is left of it. Nothing may happen in its world any more."""
        self.kill()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            events._set_running_loop(self)
            for task in self._corpses:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _close(task.get_coro())
            events._set_running_loop(None)
            self._corpses.clear()

    # What reaches it from outside.

    def do(self, action: Callable[[], object]) -> None:
        """Does something now, or when the program is thawed; nothing when it is dead."""
        self._enter(action)

    def after(self, delay: float, action: Callable[[], object]) -> None:
        self.agenda.plan(self.agenda.now + delay, self._enter, action)

    def _enter(self, action: Callable[[], object]) -> None:
        if not self.is_alive:
            return
        if self.is_frozen:
            self._held.append((self._enter, action))
            return
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            action()
        except Killed:
            pass
        finally:
            events._set_running_loop(before)

    def _run(self, handle: asyncio.Handle) -> None:
        if not self.is_alive or handle._cancelled:
            return
        if self.is_frozen:
            self._held.append((self._run, handle))
            return
        events._set_running_loop(self)
        try:
            handle._run()
        except Killed:
            pass
        finally:
            events._set_running_loop(None)

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self.agenda.now - self.booted

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self.agenda.plan(0.0, self._run, handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._call_after(delay, callback, args, context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._call_after(when - self.time(), callback, args, context)

    def _call_after(
        self, delay: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.TimerHandle:
        # Code takes no time here, so a wait must take some, or a loop of too short ones never ends.
        when = self.agenda.now + (max(delay, RESOLUTION_SECONDS) if delay > 0 else 0.0)
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self.agenda.plan(when, self._run, handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass  # it is passed over when its time comes

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> Any:
        task = OrderedTask(coro, loop=self, name=name, context=context)
        self._tasks.add(task)
        return task

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        answer = self.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                result = func(*args)
            except Exception as raised:  # noqa: BLE001 — it is its caller's
                error = raised
            self.call_later(self.rng.random() * THREAD_SECONDS, settle, result, error)

        self.call_later(self.rng.random() * THREAD_SECONDS, work)
        return answer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.is_alive:
            self.faults.append(context.get("exception") or str(context.get("message")))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return not self.is_alive


def _close(coroutine: Any) -> None:
    """Closes a coroutine, however often it waits in its clean-up."""
    for _ in range(MOST_WAITS):
        try:
            coroutine.close()
        except BaseException:  # noqa: BLE001, S112 — its program is dead
            continue
        return


def running() -> Process | None:
    """Returns the program whose code runs now."""
    loop = events._get_running_loop()
    return loop if isinstance(loop, Process) else None
