"""Connections by the machine that they come from, so that one machine which opens many does not keep out the others.

A machine is an address. One that takes many addresses counts as many; so does every machine of a LAN, which is one network of IPv6.
Pure.
"""

from typing import Generic, TypeVar

Connection = TypeVar("Connection")


class Strangers(Generic[Connection]):
    """Connections, the oldest first, by machine."""

    def __init__(self) -> None:
        self._machines: dict[str, dict[Connection, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, machine: str, connection: Connection) -> None:
        """Adds a connection, the newest of its machine."""
        self._machines.setdefault(machine, {})[connection] = None
        self._count += 1

    def discard(self, machine: str, connection: Connection) -> None:
        """Removes a connection, if it is here."""
        connections = self._machines.get(machine, {})
        if connection in connections:
            del connections[connection]
            self._count -= 1
            if not connections:
                del self._machines[machine]

    def most_crowded(self) -> Connection | None:
        """Returns the oldest connection of the machine that has the most; None where there are none."""
        crowd = max(self._machines.values(), key=len, default=None)
        return next(iter(crowd)) if crowd else None

    def take(self) -> Connection:
        """Removes and returns the oldest connection of the machine whose turn it is. There must be one."""
        machine = next(iter(self._machines))
        connection = next(iter(self._machines[machine]))
        left = self._machines.pop(machine)
        del left[connection]
        self._count -= 1
        if left:
            self._machines[machine] = left  # behind all others
        return connection
