"""A simulated shim with its agent: it obeys the real clocks, and writes the real files by the real functions.

What is played is what needs a kernel: the sandbox, its pipes, signals, and control.sock, whose messages take a moment and keep
their order.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from agenthost.attempt.launch import Launch
from agenthost.attempt.shims import Shims
from agenthost.core.output.spool import RecordKind
from agenthost.shim.clocks import KILL, Clocks
from agenthost.shim.records import reserve_status, write_file, write_status
from agenthost.shim.spool import Spool
from tests.simulation.ground.process import Process, running
from tests.simulation.programs.plans import TALKING
from tests.simulation.programs.script import CHANNELS, TURN, read_prompt, write_line, write_script
from tests.simulation.programs.stdin import Stdin
from tests.simulation.programs.workers import is_repair_prompt

if TYPE_CHECKING:
    from tests.simulation.programs.machine import Machine

SET_UP_SECONDS = 0.2
SOCKET_SECONDS = 0.0005
STATUS_SECONDS = 0.01


class Link:
    """A daemon's connection to a shim."""

    def __init__(
        self,
        machine: "Machine",
        folder: Path,
        on_messages: Callable[[Sequence[dict[str, Any]]], None],
        on_end: Callable[[], None],
    ) -> None:
        daemon = running()
        if daemon is None:
            raise RuntimeError("a link belongs to a daemon")
        self.daemon = daemon
        self._machine = machine
        self._folder = folder
        self._on_messages = on_messages
        self._on_end = on_end
        self._shim: Shim | None = None

    @property
    def is_open(self) -> bool:
        return self._shim is not None

    def connect(self) -> bool:
        self._shim = self._machine.shims.get(self._folder)
        if self._shim is not None:
            self._shim.take_link(self)
        return self._shim is not None

    async def send(self, message: Mapping[str, object]) -> None:
        shim = self._shim
        if shim is None:
            raise ConnectionResetError("there is no connection")
        shim.process.after(SOCKET_SECONDS, lambda: shim.obey(message, self))

    def hang_up(self) -> None:
        if self._shim is not None:
            self._shim.lose_link(self)
            self._shim = None

    def tell(self, message: dict[str, Any]) -> None:
        self.daemon.after(SOCKET_SECONDS, lambda: self._on_messages([message]) if self.is_open else None)

    def break_(self) -> None:
        self.daemon.after(SOCKET_SECONDS, self._take_end)

    def _take_end(self) -> None:
        if self._shim is not None:
            self._shim = None
            self._on_end()


class MachineShims(Shims):
    """The shims of a simulated machine."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine

    def start(self, folder: Path, launch: Launch) -> None:
        self._machine.spawn(folder, launch.execution)

    def is_alive(self, folder: Path) -> bool:
        return folder in self._machine.shims

    def link(
        self, folder: Path, *, on_messages: Callable[[Sequence[dict[str, Any]]], None], on_end: Callable[[], None]
    ) -> Link:
        return Link(self._machine, folder, on_messages, on_end)

    def end_stray(self, folder: Path) -> None:
        shim = self._machine.shims[folder]
        message = {"do": "cancel", "reason": "no conductor can ask for it"}
        shim.process.after(SOCKET_SECONDS, lambda: shim.obey(message, None))


class Shim:
    """Keeps one agent: appends what it says, obeys the clocks, writes down how it ended."""

    def __init__(self, machine: "Machine", folder: Path, attempt: str) -> None:
        self.attempt = attempt
        self.folder = folder
        self.links: list[Link] = []
        self._machine = machine
        self._rng = Random(f"shim {machine.seed} {attempt}")
        self.process = Process(machine.agenda, f"shim of {attempt}", self._rng, disk=machine.disk)
        self._clocks: Clocks | None = None
        self._stdin: Stdin | None = None  # of an agent that takes turns
        self._is_repair = False  # what it was asked last
        self._spool: Spool | None = None
        self._told = asyncio.Event()
        self._asked = asyncio.Event()  # the agent is to end
        self._killed = asyncio.Event()
        self.process.start(self._keep())

    def take_link(self, link: Link) -> None:
        self.links.append(link)
        self.process.after(SOCKET_SECONDS, self._announce)

    def lose_link(self, link: Link) -> None:
        if link in self.links:
            self.links.remove(link)
        if self._stdin is not None:
            self._stdin.leave(link)

    def obey(self, message: Mapping[str, object], link: Link | None) -> None:
        """Does what a daemon says, as soon as the agent was let go."""
        clocks = self._clocks
        if clocks is None:
            self.process.after(0.01, lambda: self.obey(message, link))
        elif message["do"] == "renew":
            clocks.renew_lease(self.process.time())
        elif message["do"] != "cancel":
            if self._stdin is not None and link is not None and link in self.links:
                self._stdin.obey(message, link)
            self._told.set()
            self._announce()
        else:
            cause = "host_stopped" if message.get("cause") == "host_stopped" else "cancelled"
            self._stop(cause, str(message["reason"]), clocks.config["grace_seconds"])

    async def _keep(self) -> None:
        folder = str(self.folder)
        config = json.loads((self.folder / "config.json").read_text())
        reserve_status(folder)
        self._spool = Spool(folder)
        await asyncio.sleep(self._rng.random() * SET_UP_SECONDS)
        if self._rng.random() < 0.01:
            await self._write_end({"cause": "sandbox_refused", "message": "simulated"})
            return
        try:
            write_file("released", self._about(), durable=False, folder=folder)
        except OSError:
            await self._write_end({"cause": "disk_full", "message": ""})
            return
        self._machine.begin_life(self.attempt)
        self._clocks = Clocks(config, self.process.time())
        self._is_repair = is_repair_prompt(read_prompt((self.folder / "prompt").read_text()))
        if config["turns"] > 1:
            self._stdin = Stdin(config["turns"], self._clocks, self.process.time, self._append)
        is_watched = self._stdin is None or self._stdin.turns.is_watched
        self._clocks.start(self.process.time(), self.process.time(), is_watched=is_watched)
        self._announce()
        in_lines = config["argv"][0] == TALKING
        agent = self.process.create_task(self._speak(in_lines=in_lines))
        await self._watch_clocks(agent)
        self._machine.end_life(self.attempt)
        code, signal = (None, 15) if self._clocks.cause != "exited" else (agent.result(), None)
        await self._write_end(
            {"cause": self._clocks.cause, "message": self._clocks.message, "exit_code": code, "signal": signal}
        )

    async def _watch_clocks(self, agent: "asyncio.Task[int]") -> None:
        """The keeper's loop: what it waits for is the next deadline, or news."""
        clocks = self._clocks
        if clocks is None:
            raise RuntimeError("an agent that was let go has clocks")
        agent.add_done_callback(lambda _: self._told.set())
        while not agent.done():
            self._told.clear()
            left = clocks.wait_until(inf) - self.process.time()
            try:
                async with asyncio.timeout(max(left, 0.001)):
                    await self._told.wait()
            except TimeoutError:
                pass
            self._act(clocks.look(self.process.time()))

    def _stop(self, cause: str, message: str, grace: float) -> None:
        if self._clocks is not None:
            self._act(self._clocks.stop(cause, message, grace, self.process.time()))
            self._told.set()

    def _act(self, to_do: Sequence[str]) -> None:
        for deed in to_do:
            (self._killed if deed == KILL else self._asked).set()
        if KILL in to_do:
            self._asked.set()

    # The agent.

    async def _speak(self, *, in_lines: bool) -> int:
        """Answers what it was asked, and then, turn by turn, what it is asked further."""
        while True:
            script = write_script(self._machine.seed, self.attempt, is_repair=self._is_repair, in_lines=in_lines)
            for pause, kind, data in (*script.pieces, (self._rng.random(), None, b"")):
                if await self._is_asked_within(pause):
                    await self._die()
                    return script.exit_code
                if kind is not None:
                    self._say(kind, data, in_lines=in_lines)
            if self._stdin is None or script.exit_code:
                return script.exit_code
            if not await self._wait_for_prompt(self._stdin):
                # The code of an agent that has answered means nothing.
                return self._rng.choice((0, 0, 5))

    async def _wait_for_prompt(self, stdin: Stdin) -> bool:
        """Ends the turn, and waits for the next; returns whether there is one."""
        if self._write(RecordKind.STDOUT, TURN):
            self._machine.begin_wait(self.attempt)
        reading = self.process.create_task(stdin.read())
        asked = self.process.create_task(self._asked.wait())
        await asyncio.wait({reading, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        prompt = reading.result() if reading.done() and not self._asked.is_set() else ""
        reading.cancel()
        if self._asked.is_set():
            await self._die()
        self._machine.end_wait(self.attempt, prompt)
        self._is_repair = self._is_repair or bool(prompt)
        return bool(prompt)

    async def _is_asked_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return self._asked.is_set()
        return True

    async def _die(self) -> None:
        """Takes its time to end, unless it is killed first."""
        try:
            async with asyncio.timeout(self._rng.random() * 2.5):
                await self._killed.wait()
        except TimeoutError:
            if self._rng.random() < 0.3:
                self._say(RecordKind.STDERR, b"stopping\n", in_lines=False)

    def _say(self, kind: RecordKind, data: bytes, *, in_lines: bool) -> None:
        if self._write(kind, write_line(data) if in_lines and kind is RecordKind.STDOUT else data):
            self._machine.hear(self.attempt, CHANNELS[kind], data)

    def _write(self, kind: RecordKind, data: bytes) -> bool:
        if self._clocks is None:
            raise RuntimeError("an agent speaks that was not let go")
        self._clocks.note_output(self.process.time())
        return self._append(kind, data)

    def _append(self, kind: int, data: bytes) -> bool:
        """Appends to the spool; an agent whose words cannot be kept ends."""
        if self._spool is None:
            raise RuntimeError("a shim without a spool")
        if fault := self._spool.append(kind, data):
            self._machine.seen[f"agent ended: {fault}"] += 1
            self._stop(fault, "", 0)
            self._asked.set()
            self._killed.set()
            return False
        self._announce()
        return True

    def _announce(self) -> None:
        if self._spool is not None and self._clocks is not None:
            for link in self.links:
                link.tell({"size": self._spool.size})

    # Its files.

    def _about(self) -> dict[str, object]:
        return {
            "execution": self.attempt,
            "argv": ["agent"],
            "mechanism": "simulated",
            "policy_digest": "",
            "pid": 1,
            "uid": 65534,
            "boot_id": "",
            "checks": [],
            "time_ns": time.time_ns(),
        }

    async def _write_end(self, how: dict[str, object]) -> None:
        if self._spool is None:
            raise RuntimeError("a shim without a spool")
        await asyncio.sleep(self._rng.random() * STATUS_SECONDS)
        write_status({**how, **self._about(), "denials": 0}, self._spool, str(self.folder))
        await asyncio.sleep(self._rng.random() * STATUS_SECONDS)
        self._machine.forget(self)
