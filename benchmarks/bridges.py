"""Measures what a bridge adds to its agent: from starting the program to the first word of the answer.

The agent speaks the Agent Client Protocol and does nothing else. Once this program is its client, once the bridge `acp` is, as a
host starts it. The difference is the bridge: an interpreter, its modules, and one more pipe.
"""

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from agenthost.agent_specs import interpreter
from benchmarks.measuring import Report, Sample, alternate, must
from tests.agenthost.agents.bridge.driven import command

ROUNDS = 60
AGENT = (str(interpreter()), "-I", "-S", str(Path(__file__).parent / "agents" / "acp_talker.py"))
GOAL_SECONDS = 0.3


def direct() -> float:
    begun = time.perf_counter()
    with subprocess.Popen(AGENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, method in enumerate(("initialize", "session/new", "session/prompt")):
            process.stdin.write(json.dumps({"id": number, "method": method, "params": {}}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        took = time.perf_counter() - begun
        must("hello" in line, f"the agent says its word: {line}")
        process.stdin.close()
        process.stdout.read()
    return took


def bridged(folder: Path) -> float:
    begun = time.perf_counter()
    whole = command(folder, "acp", "Say something.", ["", "", "--", *AGENT])
    with subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = time.perf_counter() - begun
        must("hello" in line, f"the bridge tells the word: {line}")
        process.stdout.read()
    must(process.returncode == 0, "the bridge ends well")
    return took


async def measure(report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-bridges-") as name:
        folder = Path(name)

        async def own() -> Sample:
            return {"first": direct()}

        async def with_bridge() -> Sample:
            return {"first": bridged(folder)}

        rounds = 3 if report.is_short else ROUNDS
        found = await alternate(rounds, {"own": own, "bridge": with_bridge})
    own_times, times = found["own"]["first"], found["bridge"]["first"]
    added = [one - other for one, other in zip(times, own_times, strict=True)]
    report.add("to the first word, this program its client", "ms", [1000 * one for one in own_times])
    report.add("to the first word, over the bridge `acp`", "ms", [1000 * one for one in times])
    report.add("what the bridge adds", "ms", [1000 * one for one in added])
    report.at_most("what an ACP bridge adds to its agent", statistics.median(added), GOAL_SECONDS, " s")
