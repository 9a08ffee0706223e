"""What happens to a rig: services die and are started again, networks break, shims and daemons stand still or die.

All of it comes from the schedule of a seed, and ends when every planned death has come and enough connections were cut. It asks
for nothing and judges nothing.
"""

import asyncio
import contextlib
import os
import signal
import time
from random import Random

from tests.chaos.figures import Figures
from tests.chaos.proxy import Mood, Proxy
from tests.chaos.rig import STOP_SECONDS, Rig, Service
from tests.chaos.schedule import Act, Death, freezes, weather

PATIENCE_SECONDS = 20.0  # for a point that is not met: the process then dies where it is
SHIM_DEATH_SECONDS = 5.0


class Trouble:
    """All the trouble of one world. `killed` are the attempts whose own keepers it killed."""

    def __init__(self, rig: Rig, seed: int, figures: Figures) -> None:
        self.killed: set[str] = set()
        self._rig = rig
        self._seed = seed
        self._figures = figures

    async def make(self, acts: tuple[Act, ...], disconnects: int) -> None:
        """All at once, until every death has come and enough connections were cut; then everything is let be."""
        rig = self._rig
        networks = {"front": rig.front, **rig.links}
        async with asyncio.TaskGroup() as tasks:
            endless = [tasks.create_task(self._weather(name, proxy)) for name, proxy in networks.items()]
            endless += [tasks.create_task(self._freeze()), tasks.create_task(self._kill_shims())]
            for act in acts:
                await asyncio.gather(*(self._die(rig.services[name], deaths) for name, deaths in act.items()))
            while sum(proxy.disconnects for proxy in networks.values()) < disconnects:
                await asyncio.sleep(0.1)
            for task in endless:
                task.cancel()
        self._figures.link_disconnects = sum(proxy.disconnects for proxy in rig.links.values())
        self._figures.watcher_disconnects = rig.front.disconnects
        for service in rig.services.values():
            service.signal(signal.SIGCONT)
            if not service.is_alive:
                service.start()

    async def _die(self, service: Service, planned: tuple[Death, ...]) -> None:
        """One service's deaths: it is killed and started with the next fuse, again and again."""
        for death in planned:
            await self._end(service)
            service.start(f"{death.point}:{death.count}" if death.point else "")
            if await service.died(PATIENCE_SECONDS if death.point else death.seconds):
                continue
            if death.politely:
                service.ask()
                await service.died(STOP_SECONDS)
                continue
            service.signal(signal.SIGKILL)
            for other in death.together:
                self._rig.services[other].kill()
        if planned:
            await self._end(service)
            service.start()

    async def _end(self, service: Service) -> None:
        """Makes sure that it is dead; another's death may have taken it along, or it was asked to end."""
        self._figures.stops += service.is_asked
        self._figures.kills += not service.is_asked
        service.signal(signal.SIGKILL)
        await service.died(5)

    async def _weather(self, name: str, proxy: Proxy) -> None:
        try:
            for spell in weather(self._seed, name):
                proxy.set_mood(spell.mood)
                ends = time.monotonic() + spell.seconds
                while time.monotonic() < ends:
                    await asyncio.sleep(min(spell.cut_every or 0.2, max(0.0, ends - time.monotonic())))
                    if spell.cut_every:
                        proxy.reset()
        finally:
            proxy.set_mood(Mood.PASS)

    async def _freeze(self) -> None:
        for freeze in freezes(self._seed):
            await asyncio.sleep(freeze.after)
            targets = [pid for pid, _ in self._rig.shims()]
            if freeze.service and (process := self._rig.services[freeze.service].process):
                targets = [process.pid]
            if not targets:
                continue
            target = targets[0]
            self._figures.freezes += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, signal.SIGSTOP)
            try:
                await asyncio.sleep(freeze.seconds)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(target, signal.SIGCONT)

    async def _kill_shims(self) -> None:
        """Now and then an attempt's own keeper dies: the one loss that is nobody's fault. Never twice in a step."""
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
