"""Runs the gateway of a host: relays agents to their models, adds the keys, counts.

It is a process of its own, so that a daemon's restart cuts no agent's connection; its own death costs the requests in flight, and
the daemon starts another. Run as `python -I -m agenthost.models.gateway VERSION`, in a session of its own, with two descriptors: 3
is DATA/gateway.lock, locked, and 4 listens on DATA/gateway.sock. A daemon that connects there sends commands as lines of JSON; no
key ever stands in an argument, a variable or a file:

In: {"do": "configure", "models": {NAME: {"table", "key", "pool", "slots"}}}, {"do": "attend", "execution", "folder", "model"},
    {"do": "begin_turn", "execution"}, {"do": "leave", "execution"}, {"do": "keep_quiet", "pool", "seconds"}, {"do": "end"}.
Out: {"version": VERSION} at once, so that a daemon of another version can replace it; {"begun": execution} when that attempt may
    ask again, {"left": execution} when its use is written, and {"quiet": [pool, seconds]} when its endpoint wants no request.

It ends on command, or after a minute without a daemon and without an attempt to serve.
"""

import asyncio
import fcntl
import json
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from agenthost.core.models.endpoint import Endpoint, parse_endpoint
from agenthost.models.gateway.account import Attempt
from agenthost.models.gateway.limits import MAX_ATTEMPTS, MAX_LINE_BYTES, UNATTENDED_SECONDS
from agenthost.models.gateway.places import Places
from agenthost.models.gateway.room import LargeBodies
from agenthost.models.gateway.service import AttemptService
from agenthost.models.gateway.upstream import Model
from servicekit.logs import configure_logs

LOCK_FD, LISTENER_FD = 3, 4

_log = structlog.get_logger()


class Gateway:
    """Obeys the daemon; goes on when the daemon is gone."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._models: dict[str, Model] = {}
        self._pools: dict[str, Places] = {}
        self._large_bodies = LargeBodies()
        self._configured: dict[str, Any] = {}
        self._served: dict[str, asyncio.Task[None]] = {}
        self._services: dict[str, AttemptService] = {}
        self._daemon: asyncio.StreamWriter | None = None
        self._change = asyncio.Event()
        self._is_over = False

    async def run(self, listener: socket.socket) -> None:
        """Serves until it is over."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            acceptor = tasks.create_task(self._receive(loop, listener, tasks))
            await self._until_over()
            acceptor.cancel()
            for task in self._served.values():
                task.cancel()
            for model in self._models.values():
                model.idle.close()
            if self._daemon:
                self._daemon.transport.abort()

    async def _until_over(self) -> None:
        while not self._is_over:
            self._change.clear()
            alone = self._daemon is None and not self._served
            try:
                async with asyncio.timeout(UNATTENDED_SECONDS if alone else None):
                    await self._change.wait()
            except TimeoutError:
                return

    async def _receive(
        self, loop: asyncio.AbstractEventLoop, listener: socket.socket, tasks: asyncio.TaskGroup
    ) -> None:
        while True:
            link, _ = await loop.sock_accept(listener)
            reader, writer = await asyncio.open_connection(sock=link, limit=MAX_LINE_BYTES)
            if self._daemon:  # only the newest daemon lives
                self._daemon.transport.abort()
            self._daemon = writer
            writer.write(json.dumps({"version": self._version}).encode() + b"\n")
            self._change.set()
            tasks.create_task(self._listen(reader, writer, tasks))

    async def _listen(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tasks: asyncio.TaskGroup
    ) -> None:
        try:
            while line := await reader.readline():
                await self._obey(json.loads(line), writer, tasks)
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("daemon_not_understood", error=type(error).__name__)  # never its words: they may hold a key
        finally:
            writer.transport.abort()
            if self._daemon is writer:
                self._daemon = None
                self._change.set()

    async def _obey(self, message: dict[str, Any], writer: asyncio.StreamWriter, tasks: asyncio.TaskGroup) -> None:
        match message["do"]:
            case "configure":
                self._configure(message["models"])
            case "attend":
                attempt = Attempt(
                    message["execution"],
                    Path(message["folder"]),
                    message["model"],
                    ends_at_cut=message.get("ends_at_cut", False),
                    traceparent=message.get("traceparent", ""),
                )
                self._serve(attempt, tasks)
            case "begin_turn":
                if service := self._services.get(message["execution"]):
                    service.begin_turn()
                writer.write(json.dumps({"begun": message["execution"]}).encode() + b"\n")
                await writer.drain()
            case "leave":
                if task := self._served.get(message["execution"]):
                    task.cancel()
                    await asyncio.wait({task})
                writer.write(json.dumps({"left": message["execution"]}).encode() + b"\n")
                await writer.drain()
            case "keep_quiet":
                if pool := self._pools.get(message["pool"]):
                    pool.keep_quiet(float(message["seconds"]))
            case "end":
                self._is_over = True
                self._change.set()
            case other:
                raise ValueError(other)

    def _configure(self, models: dict[str, Any]) -> None:
        """Takes new settings; unchanged models keep their places, and requests at work keep what they began with."""
        for name in self._models.keys() - models.keys():
            self._models.pop(name).idle.close()
        for name, settings in models.items():
            if self._configured.get(name) != settings:
                if before := self._models.get(name):
                    before.idle.close()
                endpoint, pool = (
                    parse_endpoint(name, settings["table"]),
                    self._pool(settings["pool"], settings["slots"]),
                )
                self._take_model(name, endpoint, settings["key"], pool)
        self._configured = {name: models[name] for name in self._models}
        _log.info("gateway_configured", models=sorted(self._models))

    def _take_model(self, name: str, endpoint: Endpoint, key: str, pool: Places) -> None:
        """Takes a model's settings; leaves it out, and none of the others, where its certificates cannot be read any more."""
        try:
            self._models[name] = Model.of(endpoint, key, pool)
        except OSError as error:
            self._models.pop(name, None)
            _log.warning("model_left_out", model=name, error=type(error).__name__)

    def _pool(self, name: str, slots: int) -> Places:
        """Returns the places of a pool, which outlive its settings: requests at work still hold some."""
        pool = self._pools.get(name) or self._pools.setdefault(name, Places(slots, partial(self._tell_quiet, name)))
        pool.resize(slots)
        return pool

    def _tell_quiet(self, pool: str, seconds: float) -> None:
        if self._daemon:
            self._daemon.write(json.dumps({"quiet": [pool, seconds]}).encode() + b"\n")

    def _serve(self, attempt: Attempt, tasks: asyncio.TaskGroup) -> None:
        if attempt.execution in self._served or len(self._served) >= MAX_ATTEMPTS:
            return
        service = AttemptService(attempt, self._models, self._large_bodies)
        task = tasks.create_task(service.run())
        self._served[attempt.execution], self._services[attempt.execution] = task, service
        task.add_done_callback(lambda _: self._forget(attempt.execution))

    def _forget(self, execution: str) -> None:
        self._served.pop(execution, None)
        self._services.pop(execution, None)
        self._change.set()


def main(version: str) -> int:
    """Serves the daemon that started it, and those after it."""
    fcntl.fcntl(
        LOCK_FD, fcntl.F_SETFD, fcntl.FD_CLOEXEC
    )  # held for as long as this process lives, which shows that it does
    listener = socket.socket(fileno=LISTENER_FD)
    listener.settimeout(0)
    configure_logs("json", "info")
    _log.info("gateway_started", pid=os.getpid())
    asyncio.run(Gateway(version).run(listener))
    _log.info("gateway_ended", pid=os.getpid())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
