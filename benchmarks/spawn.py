"""What confinement costs: from asking for an agent to its first output, bare, in a plain bubblewrap, and as an attempt.

Run as `./dev bench spawn [ROUNDS]`. Prints a table; only what stands side by side in one run compares.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agenthost.attempt_process import AttemptProcess, Launch
from agenthost.sandbox import Sandbox, find_sandbox

PYTHON = str(Path(sys.executable).resolve())


def bare(command: list[str]) -> float:
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        return time.perf_counter() - begun


async def attempt(folder: Path, sandbox: Sandbox, number: int) -> tuple[float, float]:
    place = folder / f"attempt{number}"
    place.mkdir()
    launch = Launch(execution=place.name, argv=("echo", "hello"), tree=folder / "tree")
    begun = time.perf_counter()
    async with await AttemptProcess.spawn(place, launch, sandbox) as process:
        await process.changed(0)
        first = time.perf_counter() - begun
        await process.ended()
        status = process.status()
        assert status is not None and status.exit_code == 0, status  # noqa: PT018
        return first, time.perf_counter() - begun


def resident(place: Path) -> list[str]:
    """What the kernel says of the memory of the shim of a folder."""
    found = subprocess.run(["pgrep", "-f", str(place)], check=True, capture_output=True, text=True).stdout.split()
    return Path(f"/proc/{found[0]}/smaps_rollup").read_text().splitlines()


async def memory(folder: Path, sandbox: Sandbox) -> dict[str, int]:
    place = folder / "resident"
    place.mkdir()
    launch = Launch(execution=place.name, argv=("sleep", "100"), tree=folder / "tree")
    async with await AttemptProcess.spawn(place, launch, sandbox) as process:
        await process.wait_started()
        lines = resident(place)
        await process.cancel("measured")
        await process.ended()
    return {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}


def show(name: str, seconds: list[float]) -> None:
    milliseconds = sorted(1000 * one for one in seconds)
    worst = milliseconds[int(len(milliseconds) * 0.95)]
    print(f"{name:44} {statistics.median(milliseconds):7.1f} {worst:7.1f} {milliseconds[0]:7.1f}")


async def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tree").mkdir(mode=0o755)
        sandbox = await find_sandbox(folder)
        bwrap = str(sandbox.folder / sandbox.program)
        plain = [bwrap, "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "echo", "hello"]
        results: dict[str, list[float]] = {
            "bare": [],
            "python -I -S, bare": [],
            "bubblewrap alone": [],
            "first": [],
            "end": [],
        }
        for number in range(rounds):
            results["bare"].append(bare(["echo", "hello"]))
            results["python -I -S, bare"].append(bare([PYTHON, "-I", "-S", "-c", "print('hello')"]))
            results["bubblewrap alone"].append(bare(plain))
            first, end = await attempt(folder, sandbox, number)
            results["first"].append(first)
            results["end"].append(end)
        print(f"{'ms':44} {'median':>7} {'p95':>7} {'least':>7}   ({rounds} rounds)")
        for title, key in (
            ("echo, bare", "bare"),
            ("python -I -S, bare", "python -I -S, bare"),
            ("echo, bubblewrap alone", "bubblewrap alone"),
            ("echo, as an attempt: to its first output", "first"),
            ("echo, as an attempt: to its durable end", "end"),
        ):
            show(title, results[key])
        facts = await memory(folder, sandbox)
        private = facts["Private_Clean"] + facts["Private_Dirty"]
        print(f"a shim's memory, KiB: resident {facts['Rss']}, proportional {facts['Pss']}, private {private}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
