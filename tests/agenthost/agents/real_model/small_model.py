"""A small model behind llama.cpp's own server on loopback, from packages in .cache/model. For tests."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

PYTHON = Path(__file__).parents[4] / ".cache" / "model" / "bin" / "python"
READY = PYTHON.parents[1] / "ready"  # written when all packages are there
ASKED_FOR = "TEST_MODEL"  # set by `./dev test --model`
NAME = "smollm2"
START_SECONDS = 60.0


def why_not() -> str:
    """Says why the model cannot be had; nothing where it can."""
    if ASKED_FOR not in os.environ:
        return "a real model answers with ./dev test --model"
    if not READY.exists():
        return f"the packages of {NAME} are not installed: ./dev test --model needs a package index"
    return ""


needs_model = pytest.mark.skipif(bool(why_not()), reason=why_not())


@asynccontextmanager
async def small_model(context: int = 2048, slots: int = 1) -> AsyncIterator[str]:
    """Serves the model with this context for each slot; yields its address."""
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-I", Path(__file__).with_name("serve.py"), str(context), str(slots),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            address = (await process.stdout.readline()).decode().strip()
        assert address, "the model's server ended at its start"
        yield address
    finally:
        process.stdin.close()
        process.kill()
        await process.wait()
