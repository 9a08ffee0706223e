"""A host as a process of its own, as an operator starts it. For tests that look from outside."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from servicekit.channels import EXECUTION_OPTIONS
from tests.agenthost.running_host import Client, push_snapshot


class HostProcess:
    """`agenthost serve`, and what it writes to stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.target = ""

    async def wait_serving(self) -> None:
        """Reads until the host says where it serves."""
        while not self.target:
            line = await self._line()
            assert line, f"the host ended: {self.lines}"
            if " serves " in line:
                self.target = line.split(" serves ")[1].split()[0]
            elif line.startswith("{") and json.loads(line)["event"] == "host_started":
                self.target = json.loads(line)["address"]

    async def _line(self) -> str:
        assert self.process.stderr is not None
        line = (await self.process.stderr.readline()).decode()
        self.lines.append(line)
        return line

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code; what it still says is kept."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        while await self._line():
            pass
        return await self.process.wait()


async def start_host(data: Path, listen: str, *more: str) -> HostProcess:
    """Starts a host; it may not come to serve."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agenthost.cli", "serve", "--listen", listen, "--data", str(data), "--name", "test", *more,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    return HostProcess(process)


@asynccontextmanager
async def serving(data: Path, listen: str, *more: str) -> AsyncIterator[HostProcess]:
    """A host that serves; ended with the block if it has not before, and its agents with it."""
    host = await start_host(data, listen, *more)
    try:
        await host.wait_serving()
        yield host
    finally:
        if host.process.returncode is None:
            await host.end(signal.SIGINT)


@asynccontextmanager
async def client_of(host: HostProcess, data: Path, repository: Path) -> AsyncIterator[Client]:
    """A client, with the snapshot pushed."""
    unreachable: Any = None  # the host's insides are in another process
    async with grpc.aio.insecure_channel(host.target, options=EXECUTION_OPTIONS) as channel:
        yield Client(unreachable, data, channel, await push_snapshot(channel, repository))


@asynccontextmanager
async def host_at(folder: Path, repository: Path) -> AsyncIterator[tuple[HostProcess, Client]]:
    """A host in a folder with a short path, and its client."""
    data = folder / "data"
    async with (
        serving(data, f"unix:{folder}/s", "--slots", "16") as host,
        client_of(host, data, repository) as client,
    ):
        yield host, client
