"""Keeps a gateway process running, and tells it the models with their keys, and which attempts to serve.

The gateway outlives this process, and this process outlives gateways: each new one is told everything again. What an attempt used
is in its folder (`models.usage`), so it survives both.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

import structlog

from agenthost.core.models.pools import ModelPool
from agenthost.errors import AgentUnavailableError, ProgramError
from agenthost.models.settings import ModelSettings
from agenthost.system import process
from agenthost.system.socket_path import short_path
from servicekit.release import release_number

_log = structlog.get_logger()

BACKLOG = 8
ANSWER_SECONDS = 2.0
HELLO_SECONDS = 5.0
END_SECONDS = 2.0
READY_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 5.0
STEADY_SECONDS = 10.0  # a gateway that lived so long is started again without a pause
MAX_LOG_BYTES = 4 * 1024 * 1024


@cache
def program_version() -> str:
    """Returns the release's number with a digest of the gateway's code: a gateway outlives updates of its host's code."""
    package = Path(__file__).parent
    files = sorted((*(package / "gateway").glob("*.py"), *(package.parent / "core" / "models").rglob("*.py")))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return f"{release_number()}+{digest[:12]}"


class ModelGateway:
    """Keeps a gateway running for as long as this host has models. Use it as a context; leaving it lets the gateway go on."""

    def __init__(
        self,
        data: Path,
        models: Mapping[str, ModelSettings],
        pools: Callable[[], Mapping[str, ModelPool]] = dict,
        note_quiet: Callable[[str, float], None] = lambda *_: None,
    ) -> None:
        """Makes the link. `note_quiet` gets a pool whose endpoint wants no request, and for how many seconds."""
        self._data = data
        self._models = models
        self._pools = pools  # by the models' names; a model without one is bounded by its own setting only
        self._note_quiet = note_quiet
        self._told: Mapping[str, Any] = {}
        self._attended: dict[str, dict[str, str | bool]] = {}
        self._answered: dict[tuple[str, str], asyncio.Event] = {}
        self._is_ending = False
        self._writer: asyncio.StreamWriter | None = None
        self._connected = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        if self._models:
            self._keeper = self._tasks.create_task(self._keep())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._keeper:
            self._keeper.cancel()
        await self._tasks.__aexit__(*error)  # type: ignore[arg-type]
        self._hang_up()

    @property
    def is_running(self) -> bool:
        """Returns whether a gateway is connected."""
        return self._connected.is_set()

    async def ready(self) -> None:
        """Waits until a gateway is connected; raises AgentUnavailableError when none comes in time."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._connected.wait()
        except TimeoutError as error:
            raise AgentUnavailableError(
                "the gateway to the models is not running", hint=f"see {self._data / 'gateway.log'}"
            ) from error

    def attend(
        self, execution: str, folder: Path, model: str, *, ends_at_cut: bool = False, traceparent: str = ""
    ) -> None:
        """Asks for an attempt's agent to be served from now on, by this gateway and its successors.

        `ends_at_cut`: the agent would tell an answer that breaks off again from its beginning, so it gets no other.
        `traceparent` names the attempt's span to its endpoint; empty where it has no trace.
        """
        told: dict[str, str | bool] = {"execution": execution, "folder": str(folder), "model": model}
        told |= {"traceparent": traceparent} if traceparent else {}
        self._attended[execution] = told | ({"ends_at_cut": True} if ends_at_cut else {})
        self._say({"do": "attend", **self._attended[execution]})

    async def leave(self, execution: str) -> None:
        """Ends the service to an attempt that has ended, and waits until its use is written."""
        if self._attended.pop(execution, None):
            await self._say_and_wait("leave", execution, "left")

    async def begin_turn(self, execution: str) -> None:
        """Lets an attempt ask its model again: an end that was armed holds for the turn in which it was."""
        if execution in self._attended:
            await self._say_and_wait("begin_turn", execution, "begun")

    async def _say_and_wait(self, do: str, execution: str, answer: str) -> None:
        if not self._connected.is_set():
            return
        answered = self._answered.setdefault((answer, execution), asyncio.Event())
        self._say({"do": do, "execution": execution})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await answered.wait()
        self._answered.pop((answer, execution), None)

    async def end(self) -> None:
        """Ends the gateway: for a host that stops for good, with no agent left to serve."""
        if self._keeper and self._writer:
            self._is_ending = True
            self._say({"do": "end"})
            # Wait until it closes: closing first, with unread data, could drop the command.
            await asyncio.wait({self._keeper}, timeout=END_SECONDS)

    async def _keep(self) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_SECONDS
        while not self._is_ending:
            begun = loop.time()
            try:
                reader = await self._connect()
                await self._listen(reader)
            except (OSError, TimeoutError, ProgramError) as error:
                _log.warning("gateway_not_reached", error=str(error))
            finally:
                self._hang_up()
            pause = (
                FIRST_PAUSE_SECONDS if loop.time() - begun > STEADY_SECONDS else min(2 * pause, LONGEST_PAUSE_SECONDS)
            )
            if not self._is_ending:
                await asyncio.sleep(pause)

    async def _connect(self) -> asyncio.StreamReader:
        """Connects to the running gateway, or starts one; then tells it everything."""
        with short_path(self._data, "gateway.sock") as path:
            if (pid := self._start()) is not None:
                _log.info("gateway_started", pid=pid)
            reader, self._writer = await asyncio.open_unix_connection(path)
        await self._check_version(reader)
        self._told = {}
        self._configure()
        for attended in self._attended.values():
            self._say({"do": "attend", **attended})
        self._connected.set()
        return reader

    def refresh(self) -> None:
        """Tells the gateway the slots of the pools again, where they have changed."""
        if self._connected.is_set():
            self._configure()

    def keep_quiet(self, pool: str, seconds: float) -> None:
        """Lets no request to a pool begin for a time: an endpoint told another host so."""
        self._say({"do": "keep_quiet", "pool": pool, "seconds": seconds})

    def _configure(self) -> None:
        models = {name: model.message() | self._pool(name) for name, model in self._models.items()}
        if models != self._told:
            self._told = models
            self._say({"do": "configure", "models": models})

    def _pool(self, name: str) -> dict[str, Any]:
        pools = self._pools()
        if name not in pools:
            return {"pool": f"models.{name}", "slots": self._models[name].endpoint.max_concurrent}
        pool = pools[name].name
        return {"pool": pool, "slots": min(each.slots for each in pools.values() if each.name == pool)}

    async def _check_version(self, reader: asyncio.StreamReader) -> None:
        """Ends a gateway of another version, and raises ProgramError: the next try starts one of this version."""
        async with asyncio.timeout(HELLO_SECONDS):
            hello = await reader.readline()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if json.loads(hello)["version"] == program_version():
                return
        self._say({"do": "end"})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await reader.read()
        raise ProgramError("the gateway is of another version and is replaced")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            with contextlib.suppress(ValueError, AttributeError, TypeError):
                message = json.loads(line)
                if quiet := message.pop("quiet", None):
                    self._note_quiet(str(quiet[0]), float(quiet[1]))
                for answer in message.items():
                    if answered := self._answered.get(answer):
                        answered.set()
        if not self._is_ending:
            _log.warning("gateway_lost")

    def _hang_up(self) -> None:
        self._connected.clear()
        if self._writer:
            self._writer.transport.abort()
            self._writer = None

    def _say(self, message: Mapping[str, Any]) -> None:
        if self._writer:  # without one, the next one is told everything
            self._writer.write(json.dumps(message).encode() + b"\n")

    def _start(self) -> int | None:
        """Starts a gateway unless one runs, which its lock shows; returns its pid."""
        with contextlib.ExitStack() as stack:
            lock = os.open(self._data / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            (self._data / "gateway.sock").unlink(missing_ok=True)
            with short_path(self._data, "gateway.sock") as path:
                listener.bind(path)
            listener.listen(BACKLOG)
            log = os.open(self._data / "gateway.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, log)
            if os.fstat(log).st_size > MAX_LOG_BYTES:
                os.ftruncate(log, 0)
            nothing = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, nothing)
            descriptors = {0: nothing, 1: log, 2: log, 3: lock, 4: listener.fileno()}
            # The environment's own Python: unlike a shim, the gateway needs what is installed.
            pid = process.spawn_apart(
                sys.executable, "-I", "-m", "agenthost.models.gateway", program_version(), descriptors=descriptors
            )
        process.reap_later(pid)
        return pid
