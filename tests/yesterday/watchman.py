"""Stands at two seams of a conductor: where a decision is stored, and where its commands leave. For making fixtures.

A command that a story holds is kept back there: what is stored is then what a SIGKILL before the sending leaves.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from conductor.core.model.commands import (
    AckExecution,
    CancelExecution,
    Command,
    Evaluate,
    Record,
    StartExecution,
)
from conductor.core.model.events.run_events import RunCreated
from conductor.core.model.output import Output
from conductor.engine.dispatcher import Dispatcher
from conductor.store.sqlite.store import SqliteStore
from tests.chaos.crash_points import wrap
from tests.yesterday.stories import Story


@dataclass
class Watchman:
    """Notes what happens in each story, and keeps back the commands that it holds."""

    stories: dict[str, Story] = field(default_factory=dict)  # by name
    told: dict[str, Story] = field(default_factory=dict)  # by run
    noted: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Stands at the two seams, and leaves them as they were."""
        append, send = SqliteStore.append, Dispatcher.send
        wrap(SqliteStore, "append", self._appending)
        wrap(Dispatcher, "send", self._sending)
        try:
            yield
        finally:
            SqliteStore.append, Dispatcher.send = append, send  # type: ignore[method-assign]

    def follow(self, story: Story) -> None:
        """Follows a story that is about to begin."""
        self.stories[story.name] = story
        self.noted[story.name].clear()

    def let_go(self) -> None:
        """Holds nothing of what was begun so far."""
        self.told = {run: replace(story, held=()) for run, story in self.told.items()}

    def _appending(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def append(store: SqliteStore, decision: Any, time: float) -> Any:
            stored = await method(store, decision, time)
            for item in decision.to_store:
                self._note(item)
            return stored

        return append

    def _note(self, item: Record | Output) -> None:
        if isinstance(item, Record) and isinstance(item.event, RunCreated):
            self.told[item.run] = self.stories[dict(item.event.plan.labels)["story"]]
        noted = self.noted[self.told[item.run].name]
        if isinstance(item, Record):
            noted.add(f"{type(item.event).__name__}:{getattr(item.event, 'step', '')}")
        else:
            noted.add(f"said:{item.step}")

    def _sending(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def send(dispatcher: Dispatcher, command: Command) -> None:
            run, name = _name(command)
            story = self.told[run]
            if name in story.held:
                self.noted[story.name].add(f"held {name}")
            else:
                method(dispatcher, command)

        return send


def _name(command: Command) -> tuple[str, str]:
    """Returns a command's run, and its name in a story."""
    match command:
        case Evaluate(work=work):
            return work.run, f"{work.kind}:{work.step}"
        case StartExecution(start=start):
            run, step, _ = start.execution.split("-")
            return run, f"start:{step}"
        case CancelExecution(attempt=attempt) | AckExecution(attempt=attempt, finished=True):
            run, step, _ = attempt.split("-")
            return run, f"{'cancel' if isinstance(command, CancelExecution) else 'ack'}:{step}"
        case other:
            return other.attempt.partition("-")[0], "other"
