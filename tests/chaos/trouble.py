"""Troubles a rig: services die and are started again, shims and daemons stand still or die.

What happens to networks is `network_trouble`'s, and what an earlier conductor says is `superseded`'s.
All of it comes from the schedule of a seed, and ends when every planned death has come and enough connections were cut. It asks
for nothing and judges nothing.
"""

import asyncio
import contextlib
import os
import signal
import time
from functools import partial
from random import Random

import grpc

from conductor.v1 import server_service_pb2, server_service_pb2_grpc
from tests.chaos.crash_points import LEAST_STREAMS
from tests.chaos.figures import Figures
from tests.chaos.network_trouble import NetworkTrouble
from tests.chaos.rig import STOP_SECONDS, Rig
from tests.chaos.schedule import ACTIVE, ADOPTING, DATABASE, Act, Death, fills, freezes, freezes_of_the_active
from tests.chaos.service import Service
from tests.chaos.superseded import Superseded
from tests.chaos.watchers import open_channel

PATIENCE_SECONDS = 20.0  # for a point that is not met: the process then dies where it is
ADOPTING_SECONDS = 5.0
ADOPTIONS = 4
ATTEMPTS_TO_ADOPT = LEAST_STREAMS + 2
LIVING_TO_ADOPT = 2
ENOUGH_TO_ADOPT_SECONDS = 10.0
REVIVE_SECONDS = 1.0
TURN_SECONDS = 10.0
SHIM_DEATH_SECONDS = 5.0


class Trouble:
    """All the trouble of one world. `killed` are the attempts whose own keepers it killed."""

    def __init__(self, rig: Rig, seed: int, figures: Figures) -> None:
        self.killed: set[str] = set()
        self._rig = rig
        self._seed = seed
        self._figures = figures
        self._dying: set[str] = set()  # services whose deaths are under way
        self._network = NetworkTrouble(rig, seed, figures)

    async def make(self, acts: tuple[Act, ...], disconnects: int) -> None:
        """All at once, until every death has come and enough connections were cut; then everything is let be."""
        rig = self._rig
        superseded = Superseded(rig, self._seed, self._figures)
        async with asyncio.TaskGroup() as tasks:
            parts = [self._network.make(), self._freeze(), self._kill_shims(), superseded.speak()]
            parts += [self.keep_reviving(), self._fill_disk()] if rig.is_shared else []
            endless = [tasks.create_task(part) for part in parts]
            for act in acts:
                await asyncio.gather(*(self._die(rig.everything[name], deaths) for name, deaths in act.items()))
                self._start_the_dead()
            while self._network.disconnects < disconnects:
                await asyncio.sleep(0.1)
            for task in endless:
                task.cancel()
        await self._network.count()
        self._figures.refusals = rig.database.refusals() if rig.database else 0
        for service in rig.everything.values():
            service.signal(signal.SIGCONT)
        self._start_the_dead()

    async def keep_reviving(self) -> None:
        """Starts services again that ended because the database was away or its disk full, until it is cancelled."""
        while True:
            await asyncio.sleep(REVIVE_SECONDS)
            for name in (*self._rig.addresses, DATABASE) if self._rig.database else ():
                if name not in self._dying and not self._rig.everything[name].is_alive:
                    self._rig.everything[name].start()

    def _start_the_dead(self) -> None:
        """Starts those whom another's death took along when their own deaths had all come."""
        for service in self._rig.everything.values():
            if not service.is_alive:
                self._figures.kills += 1
                service.start()

    async def _die(self, service: Service, planned: tuple[Death, ...]) -> None:
        """One service's deaths, one after the other; a service that died is started with the next fuse."""
        self._dying.add(service.name)
        await self._die_all(service, planned)
        self._dying.discard(service.name)

    async def _die_all(self, service: Service, planned: tuple[Death, ...]) -> None:
        for death in planned:
            if await self._has_died(service, death):
                continue
            if death.politely:
                service.ask()
                await service.died(STOP_SECONDS)
                continue
            service.signal(signal.SIGKILL)
            for other in death.together:
                self._rig.everything[other].kill()
        if planned:
            await self._end(service)
            service.start()

    async def _has_died(self, service: Service, death: Death) -> bool:
        """Lays a fuse, and gives it its time to come to that end. It is killed before only where it is to die anywhere."""
        self._figures.planned.update([death.point] if death.point else [])
        if death.point == ADOPTING:
            return await self._has_died_adopting(service, death.count)
        fuse = f"{death.point}:{death.count}" if death.point else ""
        if fuse and service.is_alive:
            service.lay_fuse(fuse)
        else:
            await self._end(service)
            service.start(fuse)
        if death.point and service.name in self._rig.addresses:
            await self._make_active(service)
        return await self._comes_to_its_end(service, fuse, PATIENCE_SECONDS if fuse else death.seconds)

    async def _comes_to_its_end(self, service: Service, fuse: str, seconds: float) -> bool:
        """Waits for its death. One that ended because its database was away has not come to its point, and is started again."""
        deadline = time.monotonic() + seconds
        while await service.died(deadline - time.monotonic()):
            if not service.has_given_up:
                return True
            await asyncio.sleep(REVIVE_SECONDS)
            service.start(fuse)
        return False

    async def _make_active(self, service: Service) -> None:
        """Has the other conductor hand over, until this one is the active one: a standby meets no point."""
        others = [address for name, address in self._rig.addresses.items() if name != service.name]
        deadline = time.monotonic() + TURN_SECONDS
        while others and service.is_alive and time.monotonic() < deadline:
            if await self._is_active(self._rig.addresses[service.name]):
                return
            await self._hand_over(others[0])
            await asyncio.sleep(0.2)

    async def _is_active(self, address: str) -> bool:
        async with open_channel(address) as channel:
            stub = server_service_pb2_grpc.ServerServiceStub(channel)
            with contextlib.suppress(grpc.aio.AioRpcError):
                info = await stub.GetServerInfo(server_service_pb2.GetServerInfoRequest(), timeout=2)
                return bool(info.role == "active")
        return False

    async def _find_active(self) -> str:
        for name, address in self._rig.addresses.items():
            if await self._is_active(address):
                return name
        return ACTIVE

    async def _hand_over(self, address: str) -> None:
        async with open_channel(address) as channel:
            stub = server_service_pb2_grpc.ServerServiceStub(channel)
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.HandOver(server_service_pb2.HandOverRequest(), timeout=3)
                self._figures.hand_overs += 1

    async def _has_died_adopting(self, service: Service, count: int) -> bool:
        """The one point that is met or missed at the start: so it is waited for before that, and tried again."""
        for _ in range(ADOPTIONS):
            await self._wait_for_attempts(service)
            await self._end(service)
            service.start(f"{ADOPTING}:{count}")
            if await service.died(ADOPTING_SECONDS):
                return True
        return False

    async def _wait_for_attempts(self, service: Service) -> None:
        """Waits until a host has enough to adopt; some of it ends until it is started again."""
        deadline = time.monotonic() + ENOUGH_TO_ADOPT_SECONDS
        while time.monotonic() < deadline:
            kept, living = self._rig.kept_folders(service.name), self._rig.living(service.name)
            if len(kept) >= ATTEMPTS_TO_ADOPT and len(living) >= LIVING_TO_ADOPT:
                return
            await asyncio.sleep(0.05)

    async def _end(self, service: Service) -> None:
        """Makes sure that it is dead; another's death may have taken it along, or it was asked to end."""
        self._figures.stops += service.is_asked
        self._figures.kills += not service.is_asked
        service.signal(signal.SIGKILL)
        await service.died(5)

    async def _freeze(self) -> None:
        rig = self._rig
        is_of_a_twin = rig.is_shared and rig.twin
        usual = freezes(self._seed, rig.hosts, is_shared=rig.is_shared)
        for freeze in freezes_of_the_active(self._seed) if is_of_a_twin else usual:
            await asyncio.sleep(freeze.after)
            shims = [pid for pid, _ in rig.shims()]
            service = await self._find_active() if freeze.service == ACTIVE else freeze.service
            if not (service or shims) or service not in {"", *rig.everything}:
                continue
            tell = rig.everything[service].signal if service else partial(_tell, shims[0])
            self._figures.freezes += 1
            tell(signal.SIGSTOP)
            try:
                await asyncio.sleep(freeze.seconds)
            finally:
                tell(signal.SIGCONT)

    async def _fill_disk(self) -> None:
        """Fills the database's disk now and then, where it has one of its own."""
        disk = self._rig.database.disk if self._rig.database else None
        if disk is None:
            return
        for fill in fills(self._seed):
            await asyncio.sleep(fill.after)
            self._figures.fills += 1
            try:
                disk.fill()
                await asyncio.sleep(fill.seconds)
            finally:
                disk.make_room()

    async def _kill_shims(self) -> None:
        """Kills an attempt's own keeper now and then: the one loss that is no fault of ours. Never twice in a step."""
        random = Random(f"shims {self._seed}")
        while True:
            await asyncio.sleep(SHIM_DEATH_SECONDS)
            first = [(pid, attempt) for pid, attempt in self._rig.shims() if attempt.endswith("-1")]
            if first:
                pid, attempt = random.choice(first)
                with contextlib.suppress(ProcessLookupError):
                    # A fork of it in its set-up has nothing to lose: that attempt goes on, or it never ran and is made again.
                    if os.getsid(pid) == pid:
                        self.killed.add(attempt)
                    os.kill(pid, signal.SIGKILL)
                    self._figures.shim_kills += 1


def _tell(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
