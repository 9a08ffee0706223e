"""Troubles the networks of a rig: gives its proxies moods and cuts, and pulls and disturbs the cables to its hosts."""

import asyncio
import time
from collections.abc import Iterator, Mapping

from tests.chaos.figures import Figures
from tests.chaos.proxy import Mood, Proxy
from tests.chaos.rig import Rig
from tests.chaos.schedule import CableSpell, Spell, cable_spells, weather
from tests.chaos.wire import CLEAR

LEAST_PAUSE_SECONDS = 0.2


class NetworkTrouble:
    """Bad networks, until they are let be."""

    def __init__(self, rig: Rig, seed: int, figures: Figures) -> None:
        self._rig = rig
        self._seed = seed
        self._figures = figures

    @property
    def proxies(self) -> Mapping[str, Proxy]:
        """All of them: the hosts', those before the conductors, and those between them and their database."""
        rig = self._rig
        fronts = {f"front {number}" if number else "front": proxy for number, proxy in enumerate(rig.fronts.values())}
        return {**fronts, **rig.links, **{f"database of {name}": proxy for name, proxy in rig.database_links.items()}}

    @property
    def disconnects(self) -> int:
        """Returns how many connections with open calls were cut."""
        return sum(proxy.disconnects for proxy in self.proxies.values())

    async def make(self) -> None:
        """Makes trouble until it is cancelled, and then mends every network."""
        async with asyncio.TaskGroup() as tasks:
            for name, proxy in self.proxies.items():
                tasks.create_task(self._cut(proxy, weather(self._seed, name)))
            if self._rig.cables:
                tasks.create_task(self._pull(cable_spells(self._seed, self._rig.hosts)))

    async def count(self) -> None:
        """Writes down what was done."""
        figures, rig = self._figures, self._rig
        figures.link_disconnects = sum(proxy.disconnects for proxy in rig.links.values())
        figures.watcher_disconnects = sum(proxy.disconnects for proxy in rig.fronts.values())
        for cable in rig.cables.values():
            await cable.count()
            figures.packets += cable.carried.carried
            figures.packets_lost += cable.carried.lost
            figures.packets_repeated += cable.carried.repeated
            figures.packets_overtaken += cable.carried.overtaken

    async def _cut(self, proxy: Proxy, spells: Iterator[Spell]) -> None:
        try:
            for spell in spells:
                proxy.set_mood(spell.mood)
                ends = time.monotonic() + spell.seconds
                while time.monotonic() < ends:
                    pause = min(spell.cut_every or LEAST_PAUSE_SECONDS, max(0.0, ends - time.monotonic()))
                    await asyncio.sleep(pause)
                    if spell.cut_every:
                        proxy.reset()
        finally:
            proxy.set_mood(Mood.PASS)

    async def _pull(self, spells: Iterator[CableSpell]) -> None:
        for spell in spells:
            await self._befall(spell)
            await asyncio.sleep(spell.peace)

    async def _befall(self, spell: CableSpell) -> None:
        cable, began = self._rig.cables[spell.host], time.monotonic()
        try:
            await cable.set_condition(spell.condition)
            await cable.set_link(is_up=not spell.is_pulled)
            await asyncio.sleep(spell.seconds)
        finally:
            await cable.set_link(is_up=True)
            await cable.set_condition(CLEAR)
            lasted = time.monotonic() - began
            self._figures.pulls += spell.is_pulled
            self._figures.pulled_seconds += lasted if spell.is_pulled else 0.0
            self._figures.bad_seconds += 0.0 if spell.is_pulled else lasted
