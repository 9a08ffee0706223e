"""Brings each command of a stored decision to the part that carries it out. It routes and never waits (rule 2).

It decides nothing, keeps nothing and retries nothing: links keep a mailbox per attempt, and what is lost in a crash is
decided again by `recover`. The one thing that it answers itself is a command for a host that is configured no longer: such
a host cannot tell what became of the attempt, and a run that waits for it would wait for ever.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from conductor.core.decide.conversation import ExecutionCommand
from conductor.core.model.commands import AckExecution, CancelExecution, Command, Evaluate, StartExecution
from conductor.core.model.inputs import ExecutionLost
from conductor.core.model.work import Work

log = structlog.get_logger(__name__)


class ExecutionLink(Protocol):
    """One host, as far as attempts are concerned."""

    def post(self, command: ExecutionCommand) -> None:
        """Takes a command for one of the host's attempts. Must not wait, and must not raise because the host is away.

        One with an empty `host` goes to every link; only the one that has a stream for the attempt does anything.
        """


class Evaluator(Protocol):
    """What evaluates authors' expressions in worker processes."""

    def ask(self, work: Work) -> None:
        """Takes a question; its answer comes back as an input. Must not wait."""


class Dispatcher:
    """Routes commands to links and to the evaluator."""

    def __init__(
        self, links: Mapping[str, ExecutionLink], evaluator: Evaluator, note: Callable[[ExecutionLost], None]
    ) -> None:
        self._links = links
        self._evaluator = evaluator
        self._note = note

    def send(self, command: Command) -> None:
        """Hands a command over and comes back at once."""
        if isinstance(command, Evaluate):
            self._evaluator.ask(command.work)
        elif isinstance(command, CancelExecution | AckExecution) and not command.host:
            for link in self._links.values():
                link.post(command)
        elif command.host in self._links:
            self._links[command.host].post(command)
        else:
            self._miss(command)

    def _miss(self, command: ExecutionCommand) -> None:
        attempt = command.start.execution if isinstance(command, StartExecution) else command.attempt
        log.warning("host_missed", host=command.host, attempt=attempt, command=type(command).__name__)
        if not isinstance(command, AckExecution):
            self._note(ExecutionLost(attempt, f"host '{command.host}' is not configured any more"))
