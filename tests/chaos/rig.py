"""The processes of one world: a conductor, two hosts, and a network of ours before each of them. It starts, kills and counts them.

Whatever is orphaned below this process becomes its child (it is the subreaper), so nothing that was started here can hide: what
is still there in the end, beside the services, was left over.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.chaos.crash_points import DEEDS, FUSE
from tests.chaos.proxy import Proxy
from tests.chaos.schedule import CONDUCTOR, HOSTS
from tests.chaos.twins import TWIN

REPOSITORY = Path(__file__).parent.parent.parent
SHIM = "shim/__main__.py"
SLOTS = 20
STOP_SECONDS = 20.0
_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Service:
    """One service, life after life."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    is_asked: bool = False
    wrong_ends: list[str] = field(default_factory=list)

    def start(self, fuse: str = "") -> None:
        """Begins the next life; notes what was wrong with the end of the one before."""
        if self.process is not None:
            self._note_end(self.process.wait())
        self.is_asked = False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=REPOSITORY,
                env={**os.environ, **self.environment, FUSE: fuse},
            )

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask(self) -> None:
        """Asks it to end, which it then must."""
        self.is_asked = True
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kills it, also where it was asked to end."""
        self.is_asked = False
        self.signal(signal.SIGKILL)

    def _note_end(self, code: int) -> None:
        # One that is asked before it listens for that ends by the signal itself.
        good = {0, -signal.SIGTERM} if self.is_asked else {-signal.SIGKILL}
        if code not in good:
            asked = "was asked to end, and " if self.is_asked else ""
            self.wrong_ends.append(f"{self.name} {asked}ended with {code}")

    def signal(self, number: int) -> None:
        if self.is_alive:
            assert self.process is not None
            self.process.send_signal(number)

    async def died(self, seconds: float) -> bool:
        """Waits for its death; tells whether it came in time."""
        deadline = time.monotonic() + seconds
        while self.is_alive:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]


@dataclass
class Rig:
    """All of them. Use it as a context."""

    folder: Path
    twin: str = ""
    services: dict[str, Service] = field(default_factory=dict)
    links: dict[str, Proxy] = field(default_factory=dict)
    front: Proxy = field(init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        _become_subreaper()
        self.front = await self._stack.enter_async_context(Proxy(self.address))
        environment = {DEEDS: str(self.deeds), TWIN: self.twin, "XDG_CONFIG_HOME": str(self.folder / "config")}
        conductor = ["tests.chaos.conductor", "serve", "--listen", self.address, "--data", str(self.data(CONDUCTOR))]
        for host in HOSTS:
            listen = f"unix:{self.folder}/{host}.sock"
            self.links[host] = await self._stack.enter_async_context(Proxy(listen))
            conductor += ["--host", f"{host}={self.links[host].address}"]
            serve = ("tests.chaos.agenthost", "serve", "--listen", listen, "--data", str(self.data(host)))
            self._add(host, (*serve, "--name", host, "--slots", str(SLOTS)), environment)
        self._add(CONDUCTOR, tuple(conductor), environment)
        return self

    async def __aexit__(self, *_: object) -> None:
        for service in self.services.values():
            service.signal(signal.SIGCONT)
            service.signal(signal.SIGKILL)
            if service.process is not None:
                service.process.wait()
        for pid in left_over():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._stack.aclose()

    def _add(self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.services[name] = Service(name, arguments, self.folder / f"{name}.log", environment)

    @property
    def address(self) -> str:
        """Where the conductor listens; watchers come through `front`."""
        return f"unix:{self.folder}/conductor.sock"

    @property
    def deeds(self) -> Path:
        """What the fuses did."""
        return self.folder / "deeds.jsonl"

    def data(self, service: str) -> Path:
        return self.folder / service

    def start(self) -> None:
        for service in self.services.values():
            service.start()

    async def stop(self) -> None:
        """Asks all of them to end, the conductor first."""
        for name in (CONDUCTOR, *HOSTS):
            service = self.services[name]
            service.signal(signal.SIGTERM)
            assert await service.died(STOP_SECONDS), f"{name} does not stop: {service.tail()}"

    def shims(self) -> Iterator[tuple[int, str]]:
        """The shims that live: process and attempt. Their forks in set-up look alike until they become another program."""
        for pid in _processes():
            with contextlib.suppress(OSError, ValueError, KeyError):
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
                if any(SHIM in one for one in arguments) and arguments[-2].startswith(str(self.folder)):
                    yield pid, json.loads(Path(arguments[-2], "config.json").read_bytes())["execution"]

    def wrong_ends(self) -> list[str]:
        """Services that ended though nobody had killed them or asked them to, or did not when they were asked."""
        return [wrong for service in self.services.values() for wrong in service.wrong_ends]

    def kept_folders(self) -> list[Path]:
        """Folders of attempts that are still there."""
        return [path for host in self.links for path in (self.data(host) / "attempts").iterdir()]

    def spawns(self, host: str) -> list[dict[str, object]]:
        """What a host's spawn log says."""
        return _lines(self.data(host) / "spawns.jsonl")

    def burnt(self) -> list[dict[str, object]]:
        """What the fuses wrote down before they killed."""
        return _lines(self.deeds)


def left_over() -> list[int]:
    """Every process below this one, however far: the dead are buried on the way."""
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is not None:
            pass
    parents: dict[int, int] = {}
    for pid in _processes():
        with contextlib.suppress(OSError):
            state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[pid] = int(parent)
    return [pid for pid in parents if _is_below(pid, parents)]


def describe(pid: int) -> str:
    """A process in a line."""
    try:
        return (
            f"{pid}: " + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
        )
    except OSError:
        return f"{pid}: gone"


def _is_below(pid: int, parents: Mapping[int, int]) -> bool:
    above = parents.get(pid, 0)
    while above not in {0, os.getpid()}:
        above = parents.get(above, 0)
    return above == os.getpid()


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this process cannot become a subreaper")
