"""An agent host of yesterday as a process: its own code, in a folder of its own, beside the code of today."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.agenthost.host_process import HostProcess
from tests.yesterday.archive import unpack

# The output of `protos/generate.py`, without the stubs that only mypy reads.
GENERATE = """
import sys; sys.path.insert(0, "protos")
import generate
generate.PACKAGES, generate._has_stub_plugins = ("agenthost",), lambda: False
generate.generate()
"""


def unpack_code(archive: Path, folder: Path) -> Path:
    """Makes a folder with the packages of that time."""
    unpack(archive, folder)
    subprocess.run([sys.executable, "-c", GENERATE], cwd=folder, check=True)
    return folder


@asynccontextmanager
async def serving_then(code: Path, data: Path, listen: str, *more: str) -> AsyncIterator[HostProcess]:
    """A host of that time that serves; killed with the block if it has not ended before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agenthost.cli", "serve", "--listen", listen, "--data", str(data), "--name", "test", *more,
        cwd=code, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    host = HostProcess(process)
    try:
        await host.wait_serving()
        yield host
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
