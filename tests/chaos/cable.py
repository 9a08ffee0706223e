"""A cable to a host that lives in a network namespace of its own, by the process that holds both (`cable_process`).

Orders go to that process and are answered; nothing is decided here. Where a machine does not allow it, `CableRefusedError` says so.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from tests.chaos import namespaces
from tests.chaos.cable_process import HOST_PORT, Carried
from tests.chaos.wire import Condition

REPOSITORY = Path(__file__).parent.parent.parent
ANSWER_SECONDS = 30.0


class CableRefusedError(Exception):
    """This machine lays no cables; the text says what it said."""


class Cable:
    """The cable of one host. Use it as a context."""

    # Where the host listens: in a network of its own, so every host may have the same port.
    host_address = f"127.0.0.1:{HOST_PORT}"

    def __init__(self, near_socket: Path, seed: str) -> None:
        self._near_socket = near_socket
        self._seed = seed
        self._process: asyncio.subprocess.Process | None = None
        self.carried = Carried()
        self.pid = 0
        self._orders = 0

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos.cable_process", str(self._near_socket), self._seed),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd=REPOSITORY,
        )
        told = await self._hear()
        if "refused" in told:
            await self._process.wait()
            raise CableRefusedError(told["refused"])
        self.pid = told["pid"]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends whatever lives at its far end as well."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    @property
    def address(self) -> str:
        """Returns the address at which the host is reached."""
        return f"unix:{self._near_socket}"

    @property
    def entrance(self) -> tuple[str, ...]:
        """Returns the words before a program that make it run at the far end."""
        return (sys.executable, "-I", "-S", namespaces.__file__, str(self.pid))

    async def set_condition(self, condition: Condition) -> None:
        """From now on, for what is sent from now on."""
        await self._order(condition=asdict(condition))

    async def set_link(self, *, is_up: bool) -> None:
        """Pulls it out of the host, or puts it back."""
        await self._order(is_up=is_up)

    async def count(self) -> None:
        """Asks for the figures so far."""
        await self._order()

    async def _order(self, **order: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._orders += 1
        self._process.stdin.write(json.dumps({"order": self._orders, **order}).encode() + b"\n")
        await self._process.stdin.drain()
        # The task that gave an earlier order may have been cancelled before it was answered.
        while (told := await self._hear())["order"] != self._orders:
            pass
        self.carried = Carried(**told["carried"])

    async def _hear(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await self._process.stdout.readline()
        if not line:
            raise CableRefusedError(f"the process that holds the cable ended with {await self._process.wait()}")
        return dict(json.loads(line))
