"""The processes of one world: conductors, hosts, and a network of ours before each of them. It starts, kills and counts them.

Where the machine allows it, each host lives in a network namespace of its own at the end of a cable (`cable`), and the network of
ours carries to that cable; elsewhere it carries to the host's unix socket, and `without_cables` says why. With TLS all listen on
ports, with certificates of a pool of this world.

Whatever is orphaned below this process becomes its child (it is the subreaper), so nothing that was started here can hide: what
is still there in the end, beside the services, was left over.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.chaos.cable import Cable, CableRefusedError
from tests.chaos.crash_points import ADMISSIONS, DEEDS
from tests.chaos.database import Database
from tests.chaos.kin import PARENT
from tests.chaos.pool import Pool
from tests.chaos.proxy import Proxy
from tests.chaos.schedule import CONDUCTOR, DATABASE, HOSTS, OTHER
from tests.chaos.service import Service
from tests.chaos.twins import TWIN
from tests.kit.services import free_port

SHIM = "shim/__main__.py"
SLOTS = 20
LEASE_SECONDS = 2
STOP_SECONDS = 20.0
_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Rig:
    """All of them. Use it as a context."""

    folder: Path
    twin: str = ""
    seed: int = 0
    with_cables: bool = True
    with_tls: bool = False
    without_cables: str = ""
    cables: dict[str, Cable] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    links: dict[str, Proxy] = field(default_factory=dict)
    hosts: tuple[str, ...] = HOSTS
    is_shared: bool = False  # two conductors on one PostgreSQL
    with_full_disks: bool = False  # of their database
    fronts: dict[str, Proxy] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)  # where conductors listen; watchers come through `fronts`
    database: Database | None = None
    database_links: dict[str, Proxy] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _laid: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        for name in (CONDUCTOR, OTHER) if self.is_shared else (CONDUCTOR,):
            self.addresses[name] = f"unix:{self.folder}/{name}.sock"

    async def __aenter__(self) -> Self:
        _become_subreaper()
        pool = await asyncio.to_thread(Pool.make, self.data(CONDUCTOR)) if self.with_tls else None
        if pool is not None:
            self.addresses[CONDUCTOR] = f"127.0.0.1:{free_port()}"
        for name, address in self.addresses.items():
            self.fronts[name] = await self._stack.enter_async_context(Proxy(address, is_sealed=self.with_tls))
        if pool is not None:
            pool.secure_conductor(self.address, self.front_address)
        environment = {
            DEEDS: str(self.deeds),
            TWIN: self.twin,
            PARENT: str(os.getpid()),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }
        driven: list[str] = []
        await self._lay_cables()
        for host in self.hosts:
            cable, socket = self.cables.get(host), f"unix:{self.folder}/{host}.sock"
            if pool is not None:
                socket = f"127.0.0.1:{free_port()}"
            upstream = cable.address if cable else socket
            self.links[host] = await self._stack.enter_async_context(Proxy(upstream, is_sealed=self.with_tls))
            if pool is not None:
                await asyncio.to_thread(pool.join, host, self.data(host))
                pool.secure_host(host, self.links[host].address)
            driven += ["--host", f"{host}={self.links[host].address}"]
            listen = cable.host_address if cable else socket
            serve = ("tests.chaos.agenthost", "serve", "--listen", listen, "--data", str(self.data(host)))
            own = {**environment, ADMISSIONS: str(self._admissions(host))}
            self._add(host, (*serve, "--name", host, "--slots", str(SLOTS)), own)
            self.services[host].entrance = cable.entrance if cable else ()
        if self.is_shared:
            await self._make_database()
        for name, address in self.addresses.items():
            serve = ("tests.chaos.conductor", "serve", "--listen", address, "--data", str(self.data(name)))
            self._add(name, (*serve, *driven, *self._store_of(name)), environment)
        return self

    async def _make_database(self) -> None:
        database = self.database = Database(DATABASE, self.folder / "pg", with_disk=self.with_full_disks)
        await asyncio.to_thread(database.prepare)
        await database.audit()
        for name in self.addresses:
            self.database_links[name] = await self._stack.enter_async_context(Proxy(database.socket))
        (self.folder / "shared.toml").write_text(f"[limits]\nlease_seconds = {LEASE_SECONDS}\nstop_seconds = 2\n")

    def _store_of(self, name: str) -> tuple[str, ...]:
        if self.database is None:
            return ()
        url = self.database.url_at(self.database_links[name].address)
        return ("--store", url, "--config", str(self.folder / "shared.toml"))

    @property
    def address(self) -> str:
        """Returns where conductors listen, with commas between them."""
        return ",".join(self.addresses.values())

    @property
    def front_address(self) -> str:
        """Returns where callers reach the conductors through bad networks."""
        return ",".join(proxy.address for proxy in self.fronts.values())

    @property
    def everything(self) -> dict[str, Service]:
        """Returns all services, and the database where the world has one."""
        return self.services if self.database is None else {**self.services, DATABASE: self.database}

    async def __aexit__(self, *_: object) -> None:
        for service in self.everything.values():
            service.signal(signal.SIGCONT)
            service.signal(signal.SIGKILL)
            if service.process is not None:
                service.process.wait()
        if self.database is not None:
            self.database.close()
        for pid in self.left_over():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._laid.aclose()
        await self._stack.aclose()

    async def _lay_cables(self) -> None:
        """To every host, or to none where this machine does not allow it."""
        if not self.with_cables:
            self.without_cables = "none were asked for"
            return
        try:
            for host in self.hosts:
                cable = Cable(self.folder / f"{host}.near", f"cable {self.seed} {host}")
                self.cables[host] = await self._laid.enter_async_context(cable)
        except CableRefusedError as refused:
            self.without_cables = f"this machine does not allow them: {refused}"
            await self._laid.aclose()
            self.cables.clear()

    @property
    def lacks(self) -> tuple[str, ...]:
        """Returns which trouble this machine did not allow, and why."""
        without_disk = self.database.without_disk if self.database else ""
        cables = f"hosts had no network namespaces of their own, with cables to be pulled: {self.without_cables}"
        disk = (
            f"the database had no disk of its own, which could be full: this machine does not allow it: {without_disk}"
        )
        return (*((cables,) if self.without_cables else ()), *((disk,) if without_disk else ()))

    def _add(self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.services[name] = Service(name, arguments, self.folder / f"{name}.log", environment)
        # A conductor whose database is away when it starts says so and ends; its supervisor starts it again.
        self.services[name].may_fail = self.is_shared and name in self.addresses

    @property
    def deeds(self) -> Path:
        """Returns the file of what the fuses did."""
        return self.folder / "deeds.jsonl"

    def data(self, service: str) -> Path:
        return self.folder / service

    def start(self) -> None:
        for service in self.services.values():
            service.start()

    async def stop(self) -> None:
        """Asks all of them to end, the conductor first."""
        for name in (*self.addresses, *self.hosts):
            service = self.services[name]
            service.signal(signal.SIGTERM)
            assert await service.died(STOP_SECONDS), f"{name} does not stop: {service.tail()}"

    def left_over(self) -> list[int]:
        """Every process of this world that is there, beside those that hold cables."""
        holders = {cable.pid for cable in self.cables.values()}
        if self.database is not None:
            holders |= {*self.database.processes(), *([self.database.disk.pid] if self.database.disk else [])}
        return [pid for pid in left_over() if pid not in holders]

    def shims(self) -> Iterator[tuple[int, str]]:
        """The shims that live: process and attempt. Their forks in set-up look alike until they become another program."""
        for pid in _processes():
            with contextlib.suppress(OSError, ValueError, KeyError):
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
                if any(SHIM in one for one in arguments) and arguments[-2].startswith(str(self.folder)):
                    yield pid, json.loads(Path(arguments[-2], "config.json").read_bytes())["execution"]

    def wrong_ends(self) -> list[str]:
        """Returns services that ended without being killed or asked to, or that did not end when asked."""
        return [wrong for service in self.everything.values() for wrong in service.wrong_ends]

    def kept_folders(self, *hosts: str) -> list[Path]:
        """Folders of attempts that are still there, on these hosts or on all."""
        return [path for host in hosts or self.links for path in (self.data(host) / "attempts").iterdir()]

    def spawns(self, host: str) -> list[dict[str, object]]:
        """Returns a host's spawn log."""
        return _lines(self.data(host) / "spawns.jsonl")

    def living(self, host: str) -> list[str]:
        """The attempts whose shims live on a host."""
        begun = {str(spawn["execution"]) for spawn in self.spawns(host)}
        return sorted({attempt for _, attempt in self.shims()} & begun)

    def admissions(self, host: str) -> list[tuple[str, int]]:
        """Returns the conductors that a host has admitted, with their epochs, in that order."""
        return [(str(line["conductor"]), int(str(line["epoch"]))) for line in _lines(self._admissions(host))]

    def _admissions(self, host: str) -> Path:
        return self.folder / f"{host}.admissions"

    def burnt(self) -> list[dict[str, object]]:
        """Returns what the fuses wrote down before they killed."""
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
