"""Measures a conductor and a host from outside, as processes: their processor time, their memory, their agents' processes.

`tests/kit/services.py` starts them; here is what only a benchmark asks of them.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agenthost.errors import StatusError
from agenthost.sandbox.find import find_sandbox
from tests.kit.services import Pair, Service, running_pair

AGENTS = Path(__file__).parent / "agents"
HOST = "alpha"
HOSTS = (HOST, "beta", "gamma")
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def pair(
    *, hosts: int = 1, slots: int = 8, store: str = "", more: tuple[str, ...] = (), **limits: int
) -> Iterator[Pair]:
    """Yields services in a folder of their own, with the benchmarks' agents; `more` and `limits` are the conductor's."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        settings = folder / "conductor.toml"
        settings.write_text("[limits]\n" + "".join(f"{key} = {value}\n" for key, value in limits.items()))
        names = HOSTS[:hosts]
        extra = ("--config", str(settings), *(("--store", store) if store else ()), *more)
        host_extra = ("--agents-dir", str(AGENTS), "--slots", str(slots))
        with running_pair(folder, hosts=names, extra=extra, host_extra=host_extra) as running:
            yield running


async def why_no_sandbox() -> str:
    """Returns why no agent can run on this machine; empty where one can."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            await find_sandbox(Path(folder))
        except StatusError as error:
            return str(error)
    return ""


def pid_of(service: Service) -> int:
    assert service.process is not None
    return service.process.pid


def processor_seconds(service: Service) -> float:
    """Returns the processor time of the process itself, without its children's."""
    return seconds_of(pid_of(service))


def seconds_of(pid: int) -> float:
    """Returns the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def reaped_seconds(pid: int) -> float:
    """Returns the processor time of a process's children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS


def proportional_kib(pid: int) -> int:
    """Returns the memory of a process, with its part of what it shares. 0 when it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def resident_kib(pid: int) -> int:
    """Returns the memory of a process with all that it shares."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def parents() -> dict[int, int]:
    """Returns every process with its parent."""
    found: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def descendants(pid: int) -> set[int]:
    """Returns every process below another one now."""
    children: dict[int, list[int]] = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


def words_of(pid: int) -> set[str]:
    """Returns the last parts of the words of a command line."""
    try:
        return {word.rpartition("/")[2] for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0")}
    except OSError:
        return set()
