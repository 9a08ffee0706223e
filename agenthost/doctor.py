"""Tries everything that serving needs, for `agenthost doctor`, and says how it is and what to do next."""

import asyncio
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agenthost.agent_specs import Agent, find_agents, tried
from agenthost.config import limits_of, models_of
from agenthost.core.admission.order import WIDEST, Limits
from agenthost.core.models.facts import ModelFacts
from agenthost.core.models.key_mask import LEAST_BYTES
from agenthost.core.sandbox.report import Probe, SandboxReport
from agenthost.models.enquiry import facts_of
from agenthost.models.settings import ModelSettings
from agenthost.packages.prefix import TO_INSTALL
from agenthost.proof.probe import occupant, prove, prove_host
from agenthost.sandbox.analyzers import TO_HAVE_ANALYZERS
from agenthost.sandbox.find import Sandbox, python_runtime
from agenthost.sandbox.special_files import special_file

Say = Callable[[str], object]
GOOD, BAD, ABSENT = "✔", "✘", "○"
SHOWN_MODELS = 8


async def examine(agents_dirs: tuple[Path, ...], say: Say, config: Path | None = None) -> int:
    """Reports on this machine as a host: returns 0 when agents can run and every spec can be read, else 1."""
    with tempfile.TemporaryDirectory(prefix="agenthost-doctor-") as folder:
        sandbox, report = await prove_host(Path(folder))
        _report_sandbox(report, say)
        _report_memory(sandbox, limits_of(config) if config else WIDEST, say)
        _report_shares(sandbox, say)
        await _report_special_files(say)
        models = models_of(config) if config else {}
        facts = await _report_models(models, say)
        agents = await find_agents(tuple(path.absolute() for path in agents_dirs), models)
        proven = sandbox if report.available else None
        known = [_knowing(tried(agent), facts) for agent in agents.values()]
        absent = [agent for agent in known if agent.unavailable_reason.startswith(TO_INSTALL)]
        analyzers = [agent.name for agent in absent if TO_HAVE_ANALYZERS in agent.unavailable_reason]
        to_install = [agent.name for agent in absent if agent.name not in analyzers]
        usable = [
            await _report_agent(agent, proven, Path(folder), say)
            for agent in known
            if agent.name not in {*to_install, *analyzers}
        ]
        if analyzers:
            say(f"{ABSENT} analyzers not installed: {', '.join(analyzers)}; to have them:  {TO_HAVE_ANALYZERS}")
        if to_install:
            say(f"{ABSENT} not installed: {', '.join(to_install)}; to have one:  agenthost agents install NAME")
    refused = [agent for agent in agents.values() if agent.is_refused]
    if any(usable) and refused:
        folders = "".join(f" --agents-dir {shlex.quote(str(path))}" for path in agents_dirs)
        files = "1 spec file" if len(refused) == 1 else f"{len(refused)} spec files"
        say(f"\nagents can run here, with {files} to mend; then try again:  agenthost doctor{folders}")
        return 1
    if any(usable):
        say("\nagents can run here; start the host:  agenthost serve --listen 127.0.0.1:7420 --data DIR --name NAME")
    else:
        say(f"\nno agent can run here: mend what the lines with {BAD} say, then try again:  agenthost doctor")
    return 0 if any(usable) else 1


def _report_memory(sandbox: Sandbox | None, limits: Limits, say: Say) -> None:
    """Reports what bounds an attempt's memory: the kernel, or its shim; and the limit."""
    if sandbox is None:
        return
    most = f"memory: at most {limits.memory_bytes // 1024**2} MiB for an attempt (limits.memory_bytes)"
    if sandbox.cgroups:
        say(f"{GOOD} {most}, bounded by a control group of its own ({sandbox.memory_mode})")
        say(
            "  what a group does not count (netlink, and with version 1 UDP) is bounded by 64 MiB, checked every 250 ms by its shim"
        )
        return
    say(
        f"{GOOD} {most}, checked every 250 ms by its shim ({sandbox.memory_mode}); this machine has no control group for it"
    )
    say(
        "  for a bound by the kernel, start it in a group of its own:  systemd-run --user --scope -p Delegate=yes agenthost serve …"
    )


def _report_shares(sandbox: Sandbox | None, say: Say) -> None:
    """Reports what keeps an attempt from taking the processors, and what the kernel counts for a user."""
    if sandbox is None:
        return
    if sandbox.cgroups and sandbox.cgroups.divides_processor:
        say(f"{GOOD} processor: an attempt has the share of one process at niceness 5, by its control group")
    elif (os.cpu_count() or 1) > 1:
        say(
            f"{GOOD} processor: no control group divides it; an attempt with many busy threads gets one of {os.cpu_count()}"
        )
    else:
        say(
            f"{ABSENT} processor: no control group divides it, and there is one: an attempt with many sessions slows this machine"
        )
        say(
            "  to have it divided, start the host where the controller cpu is delegated, or set kernel.sched_autogroup_enabled=0"
        )
    if os.getuid() == 0:
        say(
            f"{GOOD} the kernel's quotas for a user (pipes, descriptors in flight, epoll): each attempt has a user of its own"
        )
    else:
        say(
            f"{ABSENT} the kernel's quotas for a user (pipes, descriptors in flight, epoll): attempts share them with your programs"
        )
        say("  to keep your programs apart, start the host as a user of its own")


async def _report_special_files(say: Say) -> None:
    """Reports what leads out of the read-only folders that all sandboxes have."""
    folders = (Path("/usr"), *python_runtime())
    if special := await asyncio.to_thread(lambda: next(filter(None, map(special_file, folders)), "")):
        say(f"{BAD} {special}, which leads out of every sandbox: remove it")
    else:
        say(f"{GOOD} {', '.join(map(str, folders))}: no pipe, socket or device leads out of a sandbox")


async def _report_agent(agent: Agent, sandbox: Sandbox | None, folder: Path, say: Say) -> bool:
    """Reports whether an agent can run: it is there, and its own sandbox holds. Escapes are listed, refused tries counted."""
    if not agent.available:
        say(f"{BAD} agent {agent.name}: {agent.unavailable_reason}")
        return False
    title = f"agent {agent.name} {agent.version}".rstrip()
    if sandbox is None:
        say(f"{GOOD} {title}")
        return False
    report = await prove(sandbox, folder, occupant(agent))
    if not report.available:
        say(f"{BAD} {title}: its sandbox is not proven: {report.reason}")
        _report_probes([probe for probe in report.probes if not probe.passed], say)
        return False
    say(f"{GOOD} {title}, in a sandbox that held against all {len(report.probes)} attempts to get out")
    return True


def _knowing(agent: Agent, facts: Mapping[str, ModelFacts]) -> Agent:
    return agent.knowing(facts[agent.endpoint.name]) if agent.endpoint else agent


async def _report_models(models: Mapping[str, ModelSettings], say: Say) -> Mapping[str, ModelFacts]:
    """Reports each model's address, its open paths, and what it answers, which it returns; never its key."""
    every = await asyncio.gather(*(facts_of(model) for model in models.values()))
    for (name, model), facts in zip(models.items(), every, strict=True):
        at = model.endpoint
        key = f"the key from {at.key_env or at.key_file}" if model.key else "no key"
        title = f"model {name}: {at.api} at {at.url}, with {key}, open for {len(at.rules)} paths"
        say(f"{BAD if facts.problem else GOOD} {title}")
        say(f"  {facts.problem or _told(facts, at.model)}")
        if at.provider_tools:
            say(f"  the provider may run on its side: {', '.join(sorted(at.provider_tools))}")
        if at.request_fields:
            say(f"  also open in requests: {', '.join(sorted(at.request_fields))}")
        if 0 < len(model.key) < LEAST_BYTES:
            say(f"  its key has fewer than {LEAST_BYTES} characters, so it is not masked where the endpoint repeats it")
    return dict(zip(models, every, strict=True))


def _told(facts: ModelFacts, name: str) -> str:
    """Returns `llama.cpp answers: small; a context of 4096 tokens; 2 slots`."""
    names = [each.name for each in facts.models]
    listed = ", ".join(names[:SHOWN_MODELS]) + (
        f" and {len(names) - SHOWN_MODELS} more" if len(names) > SHOWN_MODELS else ""
    )
    parts = [listed or "it lists no models"]
    if name and names and name not in names:
        parts.append(f"'{name}', which is to be asked for, is not among them")
    window = facts.window_of(name)
    parts.append(f"a context of {window} tokens" if window else "its context is not known: add context = TOKENS")
    parts += [f"{facts.slots} slots"] if facts.slots else []
    return f"{facts.server or 'it'} answers: {'; '.join(parts)}"


def _report_probes(probes: Sequence[Probe], say: Say) -> None:
    for probe in probes:
        detail = f": {probe.detail}" if probe.detail else ""
        say(f"  {GOOD if probe.passed else BAD} {probe.name}{detail}")


def _report_sandbox(report: SandboxReport, say: Say) -> None:
    """Reports every attempt to escape with what stopped it; then the verdict."""
    if report.probes:
        say("what was tried from inside the sandbox, and the result:")
    _report_probes(report.probes, say)
    if report.available:
        say(f"{GOOD} sandbox: {report.mechanism} held against all {len(report.probes)} attempts to get out")
    else:
        say(f"{BAD} sandbox: {report.reason}")
