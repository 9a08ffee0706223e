"""Hands each command of a stored decision to the part that carries it out. It routes and never waits (rule 2).

It decides, keeps and retries nothing: links keep a mailbox per attempt, and `recover` decides again what a crash lost. A command
for a host that is not driven any more is dropped: such a host counts as silent, and its attempts end as on any silent host.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from conductor.core.conversation import ExecutionCommand
from conductor.core.model.commands import AckExecution, CancelExecution, Evaluate, StartExecution
from conductor.core.model.work import Work

log = structlog.get_logger(__name__)


# Takes a command for one of a host's attempts. Must not wait, and must not raise because the host is away. One with an empty
# `host` goes to every host; only the link that has a stream for the attempt does anything.
Post = Callable[[ExecutionCommand], None]


class Evaluator(Protocol):
    """Evaluates authors' expressions."""

    def ask(self, work: Work) -> None:
        """Takes a question; its answer comes back as an input. Must not wait."""


class Dispatcher:
    """Routes commands to the links of hosts and to the evaluator."""

    def __init__(self, posts: Mapping[str, Post], evaluator: Evaluator) -> None:
        self._posts = posts
        self._evaluator = evaluator

    def send(self, command: ExecutionCommand | Evaluate) -> None:
        """Hands a command over; returns at once."""
        if isinstance(command, Evaluate):
            self._evaluator.ask(command.work)
        elif isinstance(command, CancelExecution | AckExecution) and not command.host:
            for post in self._posts.values():
                post(command)
        elif command.host in self._posts:
            self._posts[command.host](command)
        else:
            attempt = command.start.execution if isinstance(command, StartExecution) else command.attempt
            log.warning("host_missed", host=command.host, attempt=attempt, command=type(command).__name__)
