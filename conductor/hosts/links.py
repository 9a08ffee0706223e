"""The links to all hosts: opened at the start and while the conductor runs, and closed when a host is removed or moves.

A link is a channel with what uses it: the host's liveness, its executions and its snapshots. What is opened before `run` works from
then on. Closing waits for nothing: the tasks of a closed link end behind it, and a new one to the same host is another link. It
decides nothing: the core says which hosts are driven, and which commands a new link begins with.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import grpc

from conductor.hosts.executions import ExecutionLink
from conductor.hosts.liveness import HostLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from conductor.core.conversation import ExecutionCommand


@dataclass(frozen=True, slots=True)
class Link:
    """The parts of a link."""

    channel: grpc.aio.Channel
    host: HostLink
    executions: ExecutionLink


class MakeLink(Protocol):
    """Makes a link to the host of that name at an address."""

    def __call__(self, name: str, address: str) -> Link:
        """Opens its channel; starts nothing."""


class HostLinks:
    """Keeps a link for each host that is driven. `hosts` and `executions` show their parts by name, as they are now."""

    def __init__(self, make: MakeLink) -> None:
        self._make = make
        self.hosts: dict[str, HostLink] = {}
        self.executions: dict[str, ExecutionLink] = {}
        self.posts: dict[str, Callable[[ExecutionCommand], None]] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._working: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def open(self, name: str, address: str) -> None:
        """Begins to drive a host; a link of this name is closed before. Never waits."""
        self.close(name)
        link = self._make(name, address)
        self.hosts[name], self.executions[name], self._channels[name] = link.host, link.executions, link.channel
        self.posts[name] = link.executions.post
        if self._tasks is not None:
            self._start(self._tasks, name)

    def close(self, name: str) -> None:
        """Lets go of a host, whose agents go on. Never waits."""
        if name in self.hosts:
            del self.hosts[name], self.executions[name], self.posts[name], self._channels[name]
        if (working := self._working.pop(name, None)) is not None:
            working.cancel()

    async def run(self) -> None:
        """Works until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for name in list(self.hosts):
                    self._start(tasks, name)
                await asyncio.Event().wait()
        finally:
            self._tasks = None

    def _start(self, tasks: asyncio.TaskGroup, name: str) -> None:
        self._working[name] = tasks.create_task(
            _work(self._channels[name], self.hosts[name], self.executions[name]), name=f"link to {name}"
        )


async def _work(channel: grpc.aio.Channel, host: HostLink, executions: ExecutionLink) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(host.run())
            tasks.create_task(executions.run())
    finally:
        await channel.close()
