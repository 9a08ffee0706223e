"""Checks one agent: its spec by line and field, what it needs, its sandbox by attempts to get out, itself by a hostile model."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from agenthost.agent_specs import BUILT_IN, Agent, find_agents, find_spec, name_of
from agenthost.catalogue.played_model import MODEL
from agenthost.catalogue.red_team import try_agent
from agenthost.catalogue.spec_check import placed, read_spec
from agenthost.config import models_of
from agenthost.core.admission.agent_spec import AgentSpec
from agenthost.core.models.endpoint import Api
from agenthost.models.settings import ModelSettings, read_models
from agenthost.packages.trials import Order, store
from agenthost.proof.probe import occupant, prove, prove_host
from agenthost.sandbox.find import Sandbox

Say = Callable[[str], object]
GOOD, BAD, UNKNOWN = "✔", "✘", "○"


async def check_agent(name: str, folders: tuple[Path, ...], config: Path | None, say: Say) -> int:
    """Reports on an agent by its name, or by the path of its spec file; returns 0 when a host can run it, else 1."""
    path = find_file(name, folders)
    if path is None:
        known = sorted({name_of(file) for folder in (BUILT_IN, *folders) for file in folder.glob("*.toml")})
        say(f"{BAD} {name}: there is no such agent; there are {', '.join(known)}")
        return 1
    spec = read_spec(path)
    if isinstance(spec, str):
        say(f"{BAD} {spec}")
        return 1
    models = models_of(config) if config else _played(spec)
    agent = (await find_agents((path.parent,) if path.parent != BUILT_IN else (), models))[spec.name]
    if agent.source != path:
        say(f"{BAD} {path}: {agent.source} has the name '{spec.name}', too: give one of them another")
        return 1
    if fault := placed(path, agent.unavailable_reason):
        say(f"{BAD} {fault}")
        return 1
    say(f"{GOOD} {path}: every field is good")
    if not agent.available:
        say(f"{BAD} {agent.name} cannot run here: {agent.unavailable_reason}")
        return 1
    return await _check_sandbox(agent, say)


def find_file(name: str, folders: tuple[Path, ...]) -> Path | None:
    """Returns the spec file that a name or a path means; of several the last folder's, as for a host."""
    if name.endswith(".toml"):
        return Path(name).absolute()
    return find_spec(name, (*reversed(folders), BUILT_IN))


def _played(spec: AgentSpec) -> Mapping[str, ModelSettings]:
    """Returns the model that the host plays; the API of a spec's endpoint is told by its name."""
    if not spec.model:
        return {}
    api = spec.model if spec.model in set(Api) else "openai"
    return read_models({spec.model: {"url": "http://127.0.0.1:9", "api": api, "model": MODEL}})


async def _check_sandbox(agent: Agent, say: Say) -> int:
    with tempfile.TemporaryDirectory(prefix="agenthost-check-") as name:
        folder = Path(name)
        await asyncio.to_thread(folder.chmod, 0o755)  # the sandbox's user must reach the snapshot in it
        sandbox, report = await prove_host(folder)
        if sandbox is not None and report.available:
            report = await prove(sandbox, folder, occupant(agent))
        if sandbox is None or not report.available:
            say(f"{BAD} {agent.name}: its sandbox is not proven: {report.reason}")
            return 1
        say(f"{GOOD} {_titled(agent)}: its sandbox held against all {len(report.probes)} attempts")
        return await _try(agent, sandbox, folder, say) if agent.endpoint else 0


async def _try(agent: Agent, sandbox: Sandbox, folder: Path, say: Say) -> int:
    """Tries the agent with a hostile model, keeps what came of it, and reports each order."""
    say("  now a hostile model gives it orders; that can take some minutes")
    orders = await try_agent(agent, sandbox, folder)
    trial = store(agent.name, agent.version, agent.digest, orders)
    say("what a hostile model ordered, and what the agent answered:")
    for order in trial.orders:
        say(f"  {_mark(order)} {order.name}: {order.answer}")
    if not trial.has_held:
        say(f"{BAD} {_titled(agent)} broke out: no host here runs it until it holds in another check")
        return 1
    short = "" if trial.is_whole else "; the trial is incomplete"
    told = f"{trial.reach}, and nothing of them was seen outside of the sandbox"
    say(f"{GOOD if trial.is_whole else UNKNOWN} {_titled(agent)}: {told}{short}")
    return 0


def _mark(order: Order) -> str:
    return BAD if not order.has_held else UNKNOWN if order.is_untried else GOOD


def _titled(agent: Agent) -> str:
    return f"{agent.name} {agent.version}".rstrip()
