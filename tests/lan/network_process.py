"""`python -m tests.lan.network_process SEED NAME=ADDRESS …`: machines on one network, each a network namespace of its own.

Each machine has one interface with its address. This process is the network: it takes the packets that a machine sends and gives
each to the machine that has its destination. It loses, holds up and drops packets as it is told, so it needs no `tc netem`, which
many kernels lack: real TCP over real IP all the same. The namespaces have no name and no way out of this network.

It obeys orders on its standard input, a line of JSON for each, and answers each by its number. When the input ends, it ends all
that lives in the namespaces, then itself.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.namespaces import Namespace, become_owner, inhabitants, open_tunnel, set_address, set_link
from tests.chaos.wire import Condition, Wire

INTERFACE = "lan0"
MASK = "255.255.255.0"
MAX_PACKET_BYTES = 64 * 1024
SWEEPS = 50
_DESTINATION = slice(16, 20)  # of an IPv4 header


@dataclass(slots=True)
class Machine:
    """A machine: its namespace, the descriptor of its interface, and the wire to the others."""

    namespace: Namespace
    end: int
    address: bytes
    wire: Wire
    is_plugged: bool = True


@dataclass(slots=True)
class Network:
    """All machines, by name."""

    machines: dict[str, Machine] = field(default_factory=dict)
    carried: int = 0
    lost: int = 0

    @classmethod
    def make(cls, seed: str, addresses: Mapping[str, str]) -> "Network":
        """Makes the machines; OSError where this machine does not allow it."""
        become_owner()
        made = cls()
        for name, address in addresses.items():
            namespace, end = Namespace.make(), open_tunnel(INTERFACE, address, MASK)
            set_link("lo", is_up=True)
            made.machines[name] = Machine(namespace, end, socket.inet_aton(address), Wire(f"{seed} {name}"))
        return made

    def carry(self, sender: Machine) -> None:
        """Takes the packets that wait at a machine, and sends each on its way."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(BlockingIOError):
            while packet := os.read(sender.end, MAX_PACKET_BYTES):
                receiver = self._receiver_of(packet)
                if receiver is None or not (sender.is_plugged and receiver.is_plugged):
                    self.lost += 1
                    continue
                now = loop.time()
                there = sender.wire.arrivals(len(packet), now)
                arrivals = [at for passed in there for at in receiver.wire.arrivals(len(packet), passed)]
                self.lost += not arrivals
                for at in arrivals:
                    loop.call_at(at, self._arrive, receiver, packet)

    def _receiver_of(self, packet: bytes) -> Machine | None:
        return next((one for one in self.machines.values() if one.address == packet[_DESTINATION]), None)

    def _arrive(self, receiver: Machine, packet: bytes) -> None:
        try:
            if receiver.is_plugged:
                os.write(receiver.end, packet)
                self.carried += 1
        except OSError:  # its queue is full
            self.lost += 1

    def obey(self, order: Mapping[str, Any]) -> None:
        """Changes a machine's wire, pulls its plug or puts it back, or gives it another address."""
        machine = self.machines[order["machine"]]
        if "condition" in order:
            machine.wire.condition = Condition(**order["condition"])
        if "is_plugged" in order:
            machine.is_plugged = order["is_plugged"]
        if "address" in order:
            with machine.namespace.entered():
                set_address(INTERFACE, order["address"], MASK)
            machine.address = socket.inet_aton(order["address"])


async def hold(network: Network) -> None:
    """Carries and obeys until the orders end."""
    loop = asyncio.get_running_loop()
    for machine in network.machines.values():
        loop.add_reader(machine.end, network.carry, machine)
    answer({"pid": os.getpid(), "places": {name: one.namespace.descriptor for name, one in network.machines.items()}})
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order = json.loads(line)
        network.obey(order)
        answer({"order": order["order"], "carried": network.carried, "lost": network.lost})


def answer(told: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def sweep(network: Network) -> None:
    """Ends every process of the machines; those that they start meanwhile as well."""
    for _ in range(SWEEPS):
        found = [pid for machine in network.machines.values() for pid in inhabitants(machine.namespace)]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def main() -> int:
    seed, *named = sys.argv[1:]
    try:
        network = Network.make(seed, dict(each.split("=", 1) for each in named))
    except OSError as error:
        answer({"refused": str(error)})
        return 1
    try:
        asyncio.run(hold(network))
    finally:
        sweep(network)
    return 0


if __name__ == "__main__":
    sys.exit(main())
