"""A cable between network namespaces: real IP packets, and what happens to them. Skipped with the reason where it is not allowed.

The hosts of chaos worlds live in network namespaces, where the machine allows it.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos.cable import Cable, CableRefusedError
from tests.chaos.cable_process import HOST_PORT
from tests.chaos.namespaces import Namespace
from tests.chaos.wire import CLEAR, Condition

pytestmark = pytest.mark.processes

REPOSITORY = Path(__file__).parent.parent.parent
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# What a host at the far end is here: it sends back what it gets.
ECHO = f"""
import asyncio
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
async def main():
    async with await asyncio.start_server(echo, "127.0.0.1", {HOST_PORT}) as server:
        print("serving", flush=True)
        await server.serve_forever()
asyncio.run(main())
"""
# Who holds a cable with an echo at its end, tells both process ids, and waits to be killed.
HOLDER = """
import asyncio, subprocess, sys
from pathlib import Path
from tests.chaos.cable import Cable
async def main():
    async with Cable(Path(sys.argv[1]), "held") as cable:
        inside = subprocess.Popen([*cable.entrance, sys.executable, "-c", sys.argv[2]], stdout=subprocess.PIPE)
        inside.stdout.readline()
        print(cable.pid, inside.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
async def cable(tmp_path: Path) -> AsyncIterator[Cable]:
    try:
        async with Cable(tmp_path / "near", "a seed") as laid:
            yield laid
    except CableRefusedError as refused:
        pytest.skip(f"no network namespaces here: {refused}")


@pytest.fixture
def far_end(cable: Cable) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*cable.entrance, sys.executable, "-c", ECHO], stdout=subprocess.PIPE) as echo:
        assert echo.stdout is not None
        assert echo.stdout.readline() == b"serving\n"
        yield echo
        echo.kill()


async def connect(cable: Cable) -> Streams:
    return await asyncio.open_unix_connection(cable.address.removeprefix("unix:"))


async def echoed(streams: Streams, data: bytes) -> bytes:
    streams[1].write(data)
    async with asyncio.timeout(30):
        return await streams[0].readexactly(len(data))


@pytest.mark.usefixtures("far_end")
@pytest.mark.parametrize(
    "condition",
    [
        CLEAR,
        Condition(loss=0.1),
        Condition(repeats=0.3),
        Condition(delay_seconds=0.01, jitter_seconds=0.02),
        Condition(bytes_per_second=200_000),
    ],
    ids=["clear", "lossy", "repeating", "overtaking", "slow"],
)
async def test_what_is_sent_arrives_whole_whatever_happens_to_its_packets(cable: Cable, condition: Condition) -> None:
    streams = await connect(cable)
    await cable.set_condition(condition)
    data = os.urandom(60_000)

    assert await echoed(streams, data) == data
    streams[1].close()

    await cable.count()
    carried = cable.carried
    assert carried.carried > 60
    assert bool(condition.loss) <= bool(carried.lost)
    assert bool(condition.repeats) == bool(carried.repeated)
    assert bool(condition.jitter_seconds) <= bool(carried.overtaken)


@pytest.mark.usefixtures("far_end")
async def test_a_pulled_cable_carries_nothing_and_keeps_the_connection_which_goes_on_when_it_is_put_back(
    cable: Cable,
) -> None:
    streams = await connect(cable)
    assert await echoed(streams, b"before") == b"before"

    await cable.set_link(is_up=False)
    streams[1].write(b"while it is pulled")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await streams[0].read(1)

    await cable.set_link(is_up=True)
    async with asyncio.timeout(30):
        assert await streams[0].readexactly(18) == b"while it is pulled"
    streams[1].close()


@pytest.mark.long
@pytest.mark.usefixtures("far_end")
async def test_no_host_is_reached_over_a_pulled_cable(cable: Cable) -> None:
    await cable.set_link(is_up=False)
    reader, writer = await connect(cable)
    writer.write(b"hello")
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read(5) == b""
    writer.close()


async def test_the_far_end_has_a_network_of_its_own_and_no_way_out(cable: Cable) -> None:
    own = Namespace.here()
    script = "import os; print(os.stat('/proc/self/ns/net').st_ino); print(open('/proc/net/route').read())"
    told = subprocess.run([*cable.entrance, sys.executable, "-c", script], capture_output=True, text=True, check=True)
    inode, _, *routes = told.stdout.split("\n")

    assert int(inode) != os.fstat(own.descriptor).st_ino
    assert [line.split("\t")[:2] for line in routes if line] == [["cable", "000200C0"]]  # 192.0.2.0/30, and no other
    os.close(own.descriptor)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_process_that_holds_a_cable_may_be_killed_and_nothing_of_it_is_left(
    cable: Cable, tmp_path: Path, number: signal.Signals
) -> None:
    assert cable.pid  # cables are allowed here
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "held"), ECHO], stdout=subprocess.PIPE, cwd=REPOSITORY
    ) as holder:
        assert holder.stdout is not None
        pids = [int(pid) for pid in holder.stdout.readline().split()]
        spaces = {os.stat(f"/proc/{pid}/ns/net").st_ino for pid in pids}  # noqa: PTH116 - the link's target
        descriptors = [os.pidfd_open(pid) for pid in pids]
        holder.send_signal(number)
    for descriptor in descriptors:
        await _ended(descriptor)

    assert len(spaces) == 1
    assert not spaces & set(_network_namespaces())


async def _ended(descriptor: int) -> None:
    """Waits until the process is gone."""
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, gone.set)
    async with asyncio.timeout(30):
        await gone.wait()
    asyncio.get_running_loop().remove_reader(descriptor)
    os.close(descriptor)


def _network_namespaces() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield (entry / "ns/net").stat().st_ino
