"""`agenthost doctor`: tries what serving needs, and says for each thing how it is and what to do next."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from agenthost.agent_specs import find_agents
from agenthost.app import confine
from agenthost.data_folder import DataFolder
from agenthost.host import Confinement

Say = Callable[[str], object]


async def examine(agents_dirs: tuple[Path, ...], say: Say) -> int:
    """Tells how this machine is as a host: 0 when agents can run, 1 when not."""
    with tempfile.TemporaryDirectory(prefix="agenthost-doctor-") as folder:
        confinement = await confine(DataFolder(Path(folder)))
    _tell_confinement(confinement, say)
    agents = await find_agents(tuple(path.absolute() for path in agents_dirs))
    for agent in agents.values():
        if agent.available:
            say(f"ok    agent {agent.name} {agent.version}".rstrip())
        else:
            say(f"no    agent {agent.name}: {agent.unavailable_reason}")
    usable = confinement.available and any(agent.available for agent in agents.values())
    if usable:
        say("Agents can run here. Next: agenthost serve --listen 127.0.0.1:7411 --data DIR --name NAME")
    else:
        say("No agent can run here. Next: do what the lines with 'no' say, then run agenthost doctor again.")
    return 0 if usable else 1


def _tell_confinement(confinement: Confinement, say: Say) -> None:
    if confinement.sandbox:
        say(f"ok    sandbox {confinement.sandbox.mechanism}")
    if confinement.unavailable_reason:
        say(f"no    sandbox: {confinement.unavailable_reason}")
    for probe in confinement.probes:
        say(f"{'ok   ' if probe.passed else 'no   '} {probe.name}{f': {probe.detail}' if probe.detail else ''}")
