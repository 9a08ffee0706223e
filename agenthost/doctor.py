"""`agenthost doctor`: tries what serving needs, and says for each thing how it is and what to do next."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from agenthost.agent_specs import find_agents
from agenthost.sandbox_probe import SandboxReport, prove_host

Say = Callable[[str], object]
GOOD, BAD = "✔", "✘"


async def examine(agents_dirs: tuple[Path, ...], say: Say) -> int:
    """Tells how this machine is as a host: 0 when agents can run, 1 when not."""
    with tempfile.TemporaryDirectory(prefix="agenthost-doctor-") as folder:
        _, report = await prove_host(Path(folder))
    _tell_sandbox(report, say)
    agents = await find_agents(tuple(path.absolute() for path in agents_dirs))
    for agent in agents.values():
        if agent.available:
            say(f"{GOOD} agent {agent.name} {agent.version}".rstrip())
        else:
            say(f"{BAD} agent {agent.name}: {agent.unavailable_reason}")
    usable = report.available and any(agent.available for agent in agents.values())
    if usable:
        say("\nagents can run here; start the host:  agenthost serve --listen 127.0.0.1:7420 --data DIR --name NAME")
    else:
        say(f"\nno agent can run here: mend what the lines with {BAD} say, then try again:  agenthost doctor")
    return 0 if usable else 1


def _tell_sandbox(report: SandboxReport, say: Say) -> None:
    """Every attempt to get out, with what stopped it; then what that comes to."""
    if report.probes:
        say("what was tried from inside the sandbox, and what came of it:")
    for probe in report.probes:
        detail = f": {probe.detail}" if probe.detail else ""
        say(f"  {GOOD if probe.passed else BAD} {probe.name}{detail}")
    if report.available:
        say(f"{GOOD} sandbox: {report.mechanism} held against all {len(report.probes)} attempts to get out")
    else:
        say(f"{BAD} sandbox: {report.reason}")
