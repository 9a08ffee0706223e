"""The simulated operator: adds hosts while the conductor runs, moves, removes and drains them, and puts all right.

What is wished is compared with what is stored; the operator asks until they are the same. A configured host is only drained.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from conductor.core.decide.registry import HOST_BUSY
from conductor.core.model.registry import HostEntry, HostRequest, RequestAddHost, RequestDrainHost, RequestRemoveHost
from conductor.errors import StatusError
from tests.simulation.judges.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.programs.machine import Machine

BUSY = 0.4  # of the worlds: in the others, the configuration names every host, and none is drained
ADDED = 0.6  # of the hosts


@dataclass
class Wish:
    """The wish about a host. `forces`: it is removed also while attempts run there."""

    is_there: bool = True
    is_drained: bool = False
    forces: bool = False


class Operator:
    """Keeps the wishes about all hosts of a world."""

    def __init__(self, seed: int, names: Iterable[str]) -> None:
        self.rng = Random(f"operator {seed}")
        self.wishes = {name: Wish() for name in names}
        self.is_busy = self.rng.random() < BUSY
        self.added = frozenset(name for name in self.wishes if self.is_busy and self.rng.random() < ADDED)
        self._asked: dict[str, HostRequest] = {}
        self._number = 0

    @property
    def configured(self) -> list[str]:
        return [name for name in self.wishes if name not in self.added]

    def put_right(self) -> None:
        """Wishes for every host, and for no drain."""
        self.wishes = {name: Wish() for name in self.wishes}

    def is_content(self, stored: Mapping[str, HostEntry], machines: "Mapping[str, Machine]") -> bool:
        return not self._asked and not any(
            self._wanted(machine, stored.get(name)) for name, machine in machines.items()
        )

    def ask(
        self, stored: Mapping[str, HostEntry], machines: "Mapping[str, Machine]", *, troubled: bool
    ) -> Iterator[HostRequest]:
        """Yields what is asked for now: once, or twice; again until it is answered."""
        for name, machine in machines.items():
            wanted = self._asked.get(name) or self._wanted(machine, stored.get(name))
            if wanted is None or (troubled and self.rng.random() < 0.3):
                continue
            self._asked[name] = wanted
            yield from [wanted] * (self.rng.randint(1, 2) if troubled else 1)

    def hear(self, request: HostRequest) -> None:
        """Hears that a request was accepted."""
        self._asked.pop(request.host, None)

    def hear_refusal(self, request: HostRequest, error: StatusError) -> None:
        """Judges that a request was refused: only a removal may be, while attempts run there."""
        self._asked.pop(request.host, None)
        is_busy = isinstance(request, RequestRemoveHost) and not request.is_forced and error.reason == HOST_BUSY
        if not is_busy:
            raise Violation(f"{request} was refused: {error}")

    def _wanted(self, machine: "Machine", entry: HostEntry | None) -> HostRequest | None:
        """Returns the next request that brings a host nearer to what is wished."""
        name, wish = machine.name, self.wishes[machine.name]
        is_known = name not in self.added or entry is not None
        self._number += 1
        asked = {"request_id": f"operator {self._number}", "request_digest": "one"}
        if is_known and not wish.is_there and name in self.added:
            return RequestRemoveHost(name, wish.forces, **asked)
        if not is_known:
            return RequestAddHost(name, machine.address, **asked) if wish.is_there else None
        if name in self.added and entry is not None and entry.address != machine.address:
            return RequestAddHost(name, machine.address, moves=True, **asked)
        if wish.is_drained != (entry is not None and entry.drain is not None):
            return RequestDrainHost(name, "ann", takes_back=not wish.is_drained, **asked)
        return None
