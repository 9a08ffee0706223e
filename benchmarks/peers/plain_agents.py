"""Runs the rivals' agents: the same program as ours, without sandbox or shim, on pipes. Both rivals' hosts begin here."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "agents" / "chatter.py"
PIPE_BYTES = 64 * 1024

Carry = Callable[[int, asyncio.StreamReader], Awaitable[None]]


async def run_agents(prompt: str, count: int, carry: Carry) -> None:
    """Starts the agents and carries each one's output; returns when all have ended."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(PROGRAM), prompt, stdout=asyncio.subprocess.PIPE, limit=PIPE_BYTES
            )
            tasks.create_task(_accompany(number, process, carry))


async def _accompany(number: int, process: asyncio.subprocess.Process, carry: Carry) -> None:
    assert process.stdout is not None
    await carry(number, process.stdout)
    await process.wait()
