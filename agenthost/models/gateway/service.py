"""Serves one attempt's agent: fetches its door, accepts its connections, and keeps count of what it used of its model.

The door is a listening socket that the attempt's shim hands over; the service ends with the shim. The use is a small file in the
attempt's folder, rewritten after every request: so it outlives this process, and the next one goes on from it.
"""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Mapping
from pathlib import Path

import structlog

from agenthost.models.gateway.account import Account, Attempt
from agenthost.models.gateway.connection import AgentConnection
from agenthost.models.gateway.limits import (
    CHUNK_BYTES,
    DOOR_SECONDS,
    LEAST_CONNECTIONS,
    MAX_CONNECTIONS,
    RETRY_SECONDS,
    SHARED_BY_ATTEMPTS,
)
from agenthost.models.gateway.room import LargeBodies
from agenthost.models.gateway.upstream import Model
from agenthost.system.socket_path import short_path

_log = structlog.get_logger()


class AttemptService:
    """Answers one attempt's agent for as long as its shim lives."""

    def __init__(self, attempt: Attempt, models: Mapping[str, Model], large_bodies: LargeBodies) -> None:
        self._folder = attempt.folder
        self._places = asyncio.Semaphore(_share_of_connections())
        self._account = Account(attempt, models, large_bodies)
        self._log = _log.bind(execution=attempt.execution, model=attempt.model)

    async def run(self) -> None:
        """Serves until the shim is gone, then writes the use. The door itself stays with the shim."""
        try:
            await self._run()
        except* _ShimGone:
            pass
        finally:
            self._account.write()

    def begin_turn(self) -> None:
        """Lets the agent ask again."""
        self._account.disarm()

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(DOOR_SECONDS):
                link, door = await _fetch_door(self._folder)
        except (OSError, TimeoutError) as error:
            self._log.info("door_not_given", error=type(error).__name__)
            return
        self._log.info("service_started")
        with link, door:
            async with asyncio.TaskGroup() as tasks:
                acceptor = tasks.create_task(self._receive(door, tasks))
                await _until_closed(link)
                acceptor.cancel()
                use = self._account.use
                self._log.info("service_ended", requests=use.requests, refused=use.refused)
                raise _ShimGone  # ends all connections, whatever they are doing

    async def _receive(self, door: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._places.acquire()
            try:
                link, _ = await loop.sock_accept(door)
            except OSError:  # too many files are open, or the agent has left already
                self._places.release()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            tasks.create_task(self._serve(link))

    async def _serve(self, link: socket.socket) -> None:
        try:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader, writer = await asyncio.open_connection(sock=link, limit=CHUNK_BYTES)
            await AgentConnection(reader, writer, self._account).run()
        except Exception:  # noqa: BLE001 - the task's top: one connection's trouble must not become the others'
            self._log.exception("connection_broke")
        finally:
            link.close()
            self._places.release()


def _share_of_connections() -> int:
    """Returns how many connections one agent may have, so that many agents together leave the gateway files to open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(LEAST_CONNECTIONS, min(MAX_CONNECTIONS, soft // SHARED_BY_ATTEMPTS - 2))


class _ShimGone(Exception):  # noqa: N818 - not a failure: the end
    """The shim has ended, and with it the attempt."""


async def _fetch_door(folder: Path) -> tuple[socket.socket, socket.socket]:
    """Returns the link to the shim, and the door. Fails with OSError when there is no shim, or it has no door."""
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        link.settimeout(0)
        await _connect(link, folder)
        link.sendall(b'{"do": "door"}\n')
        data, descriptors = b"-", list[int]()
        while data and not descriptors:
            await _readable(link)
            data, descriptors, _, _ = socket.recv_fds(link, CHUNK_BYTES, 1)
        door = socket.socket(fileno=descriptors[0] if descriptors else -1)  # without one: OSError
        door.settimeout(0)
        stack.pop_all()
        return link, door


async def _connect(link: socket.socket, folder: Path) -> None:
    while True:
        try:
            with short_path(folder, "control.sock") as path:
                link.connect(path)
        except BlockingIOError:  # the queue is full just now
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


async def _until_closed(link: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while await asyncio.get_running_loop().sock_recv(link, CHUNK_BYTES):
            pass


async def _readable(link: socket.socket) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(link, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(link)
