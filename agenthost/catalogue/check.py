"""Checks one agent: its spec by line and field, what it needs, and its own sandbox by attempts to get out."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from agenthost.agent_specs import BUILT_IN, Agent, find_agents
from agenthost.catalogue.listing import PLANNED
from agenthost.catalogue.spec_check import read_spec
from agenthost.config import models_of
from agenthost.proof.probe import occupant, prove, prove_host

Say = Callable[[str], object]
GOOD, BAD = "✔", "✘"


async def check_agent(name: str, folders: tuple[Path, ...], config: Path | None, say: Say) -> int:
    """Reports on an agent by its name, or by the path of its spec file; returns 0 when a host can run it, else 1."""
    path = find_file(name, folders)
    if path is None:
        known = sorted({file.stem for folder in (BUILT_IN, *folders) for file in folder.glob("*.toml")} | set(PLANNED))
        say(f"{BAD} {name}: {PLANNED.get(name) or 'there is no such agent; there are ' + ', '.join(known)}")
        return 1
    spec = read_spec(path)
    if isinstance(spec, str):
        say(f"{BAD} {spec}")
        return 1
    say(f"{GOOD} {path}: every field is good")
    models = models_of(config) if config else {}
    agent = (await find_agents((path.parent,) if path.parent != BUILT_IN else (), models))[spec.name]
    if not agent.available:
        say(f"{BAD} {agent.name} cannot run here: {agent.unavailable_reason}")
        return 1
    return await _check_sandbox(agent, say)


def find_file(name: str, folders: tuple[Path, ...]) -> Path | None:
    """Returns the spec file that a name or a path means; of several the last folder's, as for a host."""
    if name.endswith(".toml"):
        return Path(name).absolute()
    return next(
        (path for folder in (*reversed(folders), BUILT_IN) if (path := folder / f"{name}.toml").is_file()), None
    )


async def _check_sandbox(agent: Agent, say: Say) -> int:
    with tempfile.TemporaryDirectory(prefix="agenthost-check-") as folder:
        sandbox, report = await prove_host(Path(folder))
        if sandbox is not None and report.available:
            report = await prove(sandbox, Path(folder), occupant(agent))
    if not report.available:
        say(f"{BAD} {agent.name}: its sandbox is not proven: {report.reason}")
        return 1
    say(
        f"{GOOD} {agent.name} {agent.version}".rstrip()
        + f": its sandbox held against all {len(report.probes)} attempts"
    )
    return 0
