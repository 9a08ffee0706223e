"""`python -m tests.chaos.cable_process NEAR_SOCKET SEED`: two network namespaces, and the cable between them.

In the far one a host lives; in the near one there is nothing but the end of the cable. The cable is a tunnel interface at each
end, and this process carries packets from one to the other: real TCP over real IP, on a wire that loses, delays, repeats and
pulls at our word. Since services listen on loopback only (K3), a relay at either end carries between the cable and them:

    conductor → proxy → NEAR_SOCKET → [near] 192.0.2.1 ═ wire ═ 192.0.2.2 [far] → 127.0.0.1 → host

It does what it is told on its standard input, a line of JSON for each order, and answers each by its number, with the figures.
When the input ends, the process that gave orders is gone: it ends all that lives in the far namespace, then itself, and both
namespaces with it. They have neither a name nor a way out of the two of them.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.namespaces import Namespace, become_owner, inhabitants, open_tunnel, set_link
from tests.chaos.wire import Condition, Wire

NEAR_ADDRESS, FAR_ADDRESS, FAR_PORT = "192.0.2.1", "192.0.2.2", 7419
HOST_PORT = 7420
INTERFACE = "cable"
CONNECT_SECONDS = 5.0
READ_BYTES = 64 * 1024
MAX_PACKET_BYTES = 64 * 1024
SWEEPS = 50

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass(slots=True)
class Carried:
    """Counts the packets that the cable has carried, lost, repeated and let overtake another."""

    carried: int = 0
    lost: int = 0
    repeated: int = 0
    overtaken: int = 0


@dataclass(slots=True)
class Cable:
    """Both namespaces, and what lies between."""

    near: Namespace
    far: Namespace
    ends: tuple[int, int]
    wires: tuple[Wire, Wire]
    figures: Carried = field(default_factory=Carried)
    _last_arrivals: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @classmethod
    def lay(cls, seed: str) -> "Cable":
        """Makes all of it; OSError where this machine does not allow it. This process is in the far namespace then."""
        become_owner()
        near, near_end = Namespace.make(), open_tunnel(INTERFACE, NEAR_ADDRESS)
        far, far_end = Namespace.make(), open_tunnel(INTERFACE, FAR_ADDRESS)
        set_link("lo", is_up=True)
        return cls(near, far, (near_end, far_end), (Wire(f"{seed} there"), Wire(f"{seed} back")))

    def carry(self, way: int) -> None:
        """Takes the packets that wait at one end, and sends each on its way to the other."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(BlockingIOError):
            while packet := os.read(self.ends[way], MAX_PACKET_BYTES):
                now = loop.time()
                arrivals = self.wires[way].arrivals(len(packet), now)
                self._count(way, arrivals)
                for arrival in arrivals:
                    loop.call_at(arrival, self._arrive, 1 - way, packet) if arrival > now else self._arrive(
                        1 - way, packet
                    )

    def _count(self, way: int, arrivals: tuple[float, ...]) -> None:
        self.figures.carried += bool(arrivals)
        self.figures.lost += not arrivals
        self.figures.repeated += len(arrivals) > 1
        for arrival in arrivals:
            self.figures.overtaken += arrival < self._last_arrivals[way]
            self._last_arrivals[way] = max(arrival, self._last_arrivals[way])

    def _arrive(self, end: int, packet: bytes) -> None:
        try:
            os.write(self.ends[end], packet)
        except OSError:  # that end is down, or full
            self.figures.lost += 1

    def obey(self, order: Mapping[str, Any]) -> None:
        """Changes the wires' condition, or pulls the far end out, or puts it back."""
        if "condition" in order:
            for wire in self.wires:
                wire.condition = Condition(**order["condition"])
        if "is_up" in order:
            set_link(INTERFACE, is_up=order["is_up"])

    async def reach_far(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection over the cable, from its near end."""
        with self.near.entered():
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)  # noqa: FBT003 - it has no name
        try:
            await asyncio.get_running_loop().sock_connect(made, (FAR_ADDRESS, FAR_PORT))
            return await asyncio.open_connection(sock=made, limit=READ_BYTES)
        except BaseException:
            made.close()
            raise


async def relay(connect: Connect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carries bytes both ways until either side is gone; then the other is cut as well."""
    writers = [writer]
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            far_reader, far_writer = await connect()
        writers.append(far_writer)
        pumps = [asyncio.ensure_future(_pump(*way)) for way in ((reader, far_writer), (far_reader, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
    except OSError:  # no host is there, or the cable is pulled; TimeoutError is one of them
        pass
    finally:
        for one in writers:
            one.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()


async def _orders() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def hold(near_socket: str, cable: Cable) -> None:
    """Carries, relays and obeys until the orders end."""
    loop = asyncio.get_running_loop()
    for way in (0, 1):
        loop.add_reader(cable.ends[way], cable.carry, way)
    at_host = await asyncio.start_server(
        lambda *streams: relay(lambda: asyncio.open_connection("127.0.0.1", HOST_PORT, limit=READ_BYTES), *streams),
        FAR_ADDRESS,
        FAR_PORT,
        limit=READ_BYTES,
    )
    at_conductor = await asyncio.start_unix_server(
        lambda *streams: relay(cable.reach_far, *streams), near_socket, limit=READ_BYTES
    )
    async with at_host, at_conductor:
        answer({"pid": os.getpid()})
        orders = await _orders()
        while line := await orders.readline():
            order = json.loads(line)
            cable.obey(order)
            answer({"order": order["order"], "carried": asdict(cable.figures)})


def answer(told: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def sweep() -> None:
    """Ends every process of the far namespace; those that they start meanwhile as well."""
    for _ in range(SWEEPS):
        if not (found := inhabitants()):
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def main() -> int:
    near_socket, seed = sys.argv[1:]
    try:
        cable = Cable.lay(seed)
    except OSError as error:
        answer({"refused": str(error)})
        return 1
    try:
        asyncio.run(hold(near_socket, cable))
    finally:
        sweep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
