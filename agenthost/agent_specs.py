"""Reads the agents' spec files. A bad file becomes an unavailable agent that says why.

It runs nothing but an agent's version command, through `servicekit.programs`.
"""

import asyncio
import functools
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import structlog

from agenthost.core.admission.agent_spec import (
    NAME,
    AgentSpec,
    SpecError,
    command_line,
    environment_of,
    files_of,
    parse_spec,
)
from agenthost.core.admission.file_texts import PLACEHOLDER, unfit_values
from agenthost.core.admission.order import check_parameters, with_defaults
from agenthost.core.models.endpoint import Endpoint
from agenthost.core.models.facts import ModelFacts
from agenthost.core.models.gateway_rules import variables_for
from agenthost.core.sandbox.policy import INSTALL, MOUNTS, Resources
from agenthost.errors import AgentUnavailableError, ProgramError, Violation
from agenthost.models.settings import ModelSettings
from agenthost.packages.prefix import missing, prefix_of
from agenthost.packages.trials import Trial, digest_of, last_trial
from agenthost.sandbox.analyzers import absent_analyzer, packaged_version, seen_of_host, version_in, with_host_places
from agenthost.sandbox.find import python_runtime
from agenthost.sandbox.programs import absent
from agenthost.sandbox.special_files import special_file
from servicekit import programs

BUILT_IN = Path(__file__).parent / "agents"
MAX_SPEC_BYTES = 64 * 1024
MAX_SPECS = 200
PREFIX = "{prefix}"  # as `install`: the folder that `agenthost agents install` makes
MAX_VERSION_LENGTH = 100
VERSION_SECONDS = 5.0
VERSIONS_AT_ONCE = 4

Look = Callable[[Path], str]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as this host has it now. `spec` is None for a file that cannot be read."""

    name: str
    source: Path
    spec: AgentSpec | None = None
    version: str = ""
    unavailable_reason: str = ""
    endpoint: Endpoint | None = None  # of the model that its spec names
    digest: str = ""  # of its spec and its packages, which a trial belongs to
    trial: Trial | None = None  # the last one; see `tried`
    pins: Mapping[str, tuple[int, int]] = field(
        default_factory=dict
    )  # device and inode of its folders, by place inside
    facts: ModelFacts = field(default_factory=ModelFacts)  # of that endpoint, as they are when an attempt begins

    @property
    def available(self) -> bool:
        """Returns whether it can be started."""
        return self.spec is not None and not self.unavailable_reason

    @property
    def is_refused(self) -> bool:
        """Returns whether its file cannot be read, so that the operator must mend it."""
        return self.spec is None

    @property
    def install(self) -> Path | None:
        """Returns the folder that is bound at /opt/agent."""
        if self.spec is None or not self.spec.install:
            return None
        return prefix_of(self.name) if self.is_packaged else (self.source.parent / self.spec.install).resolve()

    @property
    def is_packaged(self) -> bool:
        """Returns whether `agenthost agents install` puts it where it is."""
        return self.spec is not None and self.spec.install == PREFIX

    @property
    def own_paths(self) -> tuple[Path, ...]:
        """Returns what it reads at its own path: the Python that it asks for."""
        needs_python = self.spec is not None and ("{python}" in self.spec.argv or self.spec.is_driven)
        return python_runtime() if needs_python else ()

    @property
    def mounts(self) -> Mapping[str, Path]:
        """Returns the folders that it sees below /opt, by their names there, and the program that its spec names."""
        if self.spec is None:
            return {}
        own = {name: (self.source.parent / Path(path).expanduser()).resolve() for name, path in self.spec.mounts}
        return own | ({"bridge": BUILT_IN} if self.spec.is_driven else {}) | seen_of_host(self.spec)

    @property
    def folders(self) -> Mapping[str, Path]:
        """Returns the folders that it is given, by their places in the sandbox."""
        own = {INSTALL: self.install} if self.install else {}
        return own | {f"{MOUNTS}/{name}": folder for name, folder in self.mounts.items()}

    def moved(self) -> str:
        """Returns which folder is another one than when its spec was read, and what to do; nothing where all are the same."""
        for place, folder in self.folders.items():
            try:
                is_same = _identity(folder) == self.pins.get(place)
            except OSError:
                is_same = False
            if not is_same:
                return f"{folder} is another folder than the one that was proven: check the agent again, or restart the host"
        return ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Returns what the report of an attempt says of the agent itself: its last trial, if it is one that models drive."""
        if self.endpoint is None:
            return ()
        if self.trial is None:
            return ("trial by a hostile model: none yet",)
        other = "" if self.trial.digest == self.digest else ", with another spec or other packages"
        of_version = f" as version {self.trial.version}" if self.trial.version else ""
        return (f"trial by a hostile model: {self.trial.outcome}{of_version}, {self.trial.reach}{other}",)

    @property
    def resources(self) -> Resources:
        """Returns what it may take of the machine; the memory is the order's."""
        return Resources(**dict(self.spec.resources)) if self.spec else Resources()

    def violations(self, given: Mapping[str, str]) -> tuple[Violation, ...]:
        """Returns what a Start must not ask of it: parameters that it has not, and values that it cannot take."""
        spec = self.usable()
        return tuple(check_parameters(given, spec.parameters)) or tuple(unfit_values(spec.files, self._values(given)))

    def files(self, parameters: Mapping[str, str]) -> Mapping[str, str]:
        """Returns the files of its home, for checked parameters."""
        return files_of(self.usable(), self._values(parameters))

    def argv(self, parameters: Mapping[str, str]) -> tuple[str, ...]:
        """Returns the command line inside the sandbox, for checked parameters."""
        return command_line(self.usable(), str(interpreter()), self._values(parameters), self.version)

    def environment(self, parameters: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        """Returns the variables that its spec passes and sets, and those that name its model's address."""
        found = variables_for(self.endpoint.api) if self.endpoint else {}
        return found | environment_of(self.usable(), os.environ, self._values(parameters))

    def knowing(self, facts: ModelFacts) -> "Agent":
        """Returns the agent with what its endpoint tells; unavailable where it needs the name of a model and there is none."""
        told = replace(self, facts=facts)
        lack = told.lack({}) if facts.is_asked and self.available else ""
        return replace(told, unavailable_reason=lack) if lack else told

    def lack(self, given: Mapping[str, str]) -> str:
        """Returns why an attempt with these parameters would not know which model to ask; nothing where it knows."""
        named = next((each for each in self.usable().parameters if each.name == "model"), None)
        if self.endpoint is None or named is None or named.pattern.fullmatch(self._values(given)["model"]):
            return ""
        flag = "Start the host with --model-name NAME, or " if self.endpoint.name == "default" else ""
        add = f"{'add' if flag else 'Add'} model = 'NAME' to [models.{self.endpoint.name}] in the file of --config"
        why = f"does not answer: {self.facts.problem}" if self.facts.problem else "lists none that fits"
        return f"it needs the name of a model, and its endpoint {why}. {flag}{add}"

    def _values(self, given: Mapping[str, str]) -> dict[str, str]:
        """Returns the value of every parameter; what a flow leaves open of the model, its endpoint tells."""
        model = self.endpoint.model if self.endpoint else ""
        if not model and any(each.name == "model" and not each.default for each in self.usable().parameters):
            model = self.facts.usual
        window = self.facts.window_of(given.get("model") or model)
        told = {"model": model, "window": str(window) if window else ""}
        return with_defaults({**self._fitting(told), **given}, self.usable().parameters)

    def _fitting(self, told: Mapping[str, str]) -> dict[str, str]:
        """Returns what an endpoint tells, as far as it is what the parameters may be: a server may list any name."""
        patterns = {each.name: each.pattern for each in self.usable().parameters}
        return {name: one for name, one in told.items() if one and name in patterns and patterns[name].fullmatch(one)}

    def usable(self) -> AgentSpec:
        """Returns the spec; raises AgentUnavailableError with the reason when the agent cannot be started."""
        if self.spec is None or self.unavailable_reason:
            raise AgentUnavailableError(f"agent '{self.name}' is unavailable: {self.unavailable_reason}")
        return self.spec


def interpreter() -> Path:
    """Returns the Python for our own agents: the one below the virtual environment, at its own path."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()


async def find_agents(
    folders: tuple[Path, ...],
    models: Mapping[str, ModelSettings] = MappingProxyType({}),
    commands: Mapping[str, AgentSpec] = MappingProxyType({}),
) -> Mapping[str, Agent]:
    """Reads every spec. Later folders win, so that an operator can replace a built-in agent; commands go before all."""
    found: dict[str, Agent] = {}
    look = functools.cache(special_file)  # once for each folder: the Python packages are in most mounts
    for folder in (BUILT_IN, *folders):
        for path in sorted(folder.glob("*.toml"))[:MAX_SPECS]:
            agent = _with_fit_values(_with_model(_read(path, look), models))
            found[agent.name] = agent
    at_once = asyncio.Semaphore(VERSIONS_AT_ONCE)
    found = {
        agent.name: agent for agent in await asyncio.gather(*(_with_version(one, at_once) for one in found.values()))
    }
    for name, spec in commands.items():
        digest = digest_of(spec.name, repr(spec).encode())
        agent = Agent(spec.name, Path(f"commands.{name}"), spec, digest=digest)
        found[spec.name] = _with_fit_values(examined(agent, look))
    return MappingProxyType(dict(sorted(found.items())))


def warn_of_unusable(agents: Mapping[str, Agent]) -> None:
    """Logs every spec that was refused, and every agent of the operator's own folders that cannot be started."""
    for agent in agents.values():
        if agent.is_refused or (not agent.available and agent.source.parent != BUILT_IN):
            _log.warning("agent_unavailable", agent=agent.name, reason=agent.unavailable_reason)


def name_of(path: Path) -> str:
    """Returns the name that a spec's file has: NAME.toml, or NAME.agent.toml where a tool would take NAME.toml for its own."""
    return path.stem.removesuffix(".agent")


def find_spec(name: str, folders: Iterable[Path]) -> Path | None:
    """Returns the first file of that name in folders."""
    paths = (folder / f"{name}{ending}" for folder in folders for ending in (".toml", ".agent.toml"))
    return next((path for path in paths if path.is_file()), None)


def _read(path: Path, look: Look) -> Agent:
    name = name_of(path) if NAME.fullmatch(name_of(path)) else "unreadable"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SPEC_BYTES + 1)
        if len(data) > MAX_SPEC_BYTES:
            raise SpecError(f"the file is larger than {MAX_SPEC_BYTES} bytes")
        spec = parse_spec(tomllib.loads(data.decode()))
    except (OSError, ValueError, RecursionError) as error:
        return Agent(name, path, unavailable_reason=f"{path}: {error}")
    return examined(Agent(spec.name, path, spec, spec.version, digest=digest_of(spec.name, data)), look)


def tried(agent: Agent) -> Agent:
    """Returns an agent with its last trial by a hostile model, and unavailable where it broke out."""
    trial = last_trial(agent.name)
    broke = f"it broke out when a hostile model tried it last: agenthost agents check {agent.name} tries it again"
    is_out = trial is not None and not trial.has_held and not agent.is_refused
    return replace(agent, trial=trial, unavailable_reason=broke if is_out else agent.unavailable_reason)


def examined(agent: Agent, look: Look = special_file) -> Agent:
    """Returns an agent with its folders pinned as they are now, or unavailable because of what they are. Blocking."""
    try:
        reason = _missing(agent, agent.usable(), look)
        pins = {} if reason else {place: _identity(folder) for place, folder in agent.folders.items()}
    except (OSError, RuntimeError) as error:  # a link to itself, a folder that may not be read, a user who is not there
        reason, pins = f"{agent.source}: install or mounts: {error}", {}
    return replace(agent, unavailable_reason=reason, pins=pins)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _missing(agent: Agent, spec: AgentSpec, look: Look) -> str:
    if why := absent_analyzer(spec, is_built_in=agent.source.parent == BUILT_IN):
        return why if agent.source.parent == BUILT_IN else f"{agent.source}: {why}"
    for program in spec.requires:
        if why := absent(program, {}):
            return f"{why}, then restart the host"
    if agent.is_packaged and (why := missing(agent.name)):
        return why
    if agent.install and not agent.install.exists():
        return f"{agent.source}: install names {agent.install}, which does not exist"
    return _unfit_mount(agent, look) or _absent_program(agent, spec)


def _absent_program(agent: Agent, spec: AgentSpec) -> str:
    program = spec.argv[0]
    why = (
        "" if PLACEHOLDER.fullmatch(program) else absent(program, agent.folders, dict(spec.environment).get("PATH", ""))
    )
    return f"{agent.source}: argv begins with '{program}', but {why}" if why else ""


def _unfit_mount(agent: Agent, look: Look) -> str:
    for name, folder in agent.mounts.items():
        if not folder.is_dir() and not name.startswith("program/"):
            return f"{agent.source}: mounts.{name} names {folder}, which is no folder"
    folders = [*([agent.install] if agent.install else []), *agent.mounts.values()]
    if special := next(filter(None, map(look, folders)), ""):
        return f"{agent.source}: {special}, which leads out of the sandbox: remove it, or name another folder"
    return ""


def _with_model(agent: Agent, models: Mapping[str, ModelSettings]) -> Agent:
    """Adds the endpoint that its spec names. No key of any endpoint may reach an agent."""
    if agent.spec is None or not agent.available:
        return agent
    keys = {model.endpoint.key_env for model in models.values()} - {""}
    if leaked := sorted(keys & {*agent.spec.allowed_environment, *agent.spec.secret_environment}):
        reason = (
            f"environment lets {leaked[0]} through, the key of a model: the gateway adds it, the agent must not have it"
        )
        return replace(agent, unavailable_reason=f"{agent.source}: {reason}")
    if not agent.spec.model:
        return agent
    if agent.spec.model not in models:
        known = f"only {', '.join(sorted(models))}" if models else "none"
        reason = f"it needs the model '{agent.spec.model}', and the host's configuration has {known}"
        flag = "start the host with --model URL, or " if agent.spec.model == "default" else ""
        add = f"add [models.{agent.spec.model}] to the file of --config"
        return replace(agent, unavailable_reason=f"{reason}: {flag}{add}")
    return replace(agent, endpoint=models[agent.spec.model].endpoint)


def _with_fit_values(agent: Agent) -> Agent:
    """Refuses an agent whose own values its files cannot hold: those of a flow are looked at when they come."""
    if not agent.available or not (unfit := agent.violations({})):
        return agent
    reason = f"{agent.source}: the default of {unfit[0].field.removeprefix('start.')} {unfit[0].text}"
    return replace(agent, unavailable_reason=reason)


async def _with_version(agent: Agent, at_once: asyncio.Semaphore) -> Agent:
    if agent.spec is None or not agent.available:
        return agent
    if not agent.spec.version_command:
        return replace(agent, version=agent.version or packaged_version(agent.spec))
    command = with_host_places(agent.spec, agent.spec.version_command)
    try:
        async with at_once:
            result = await programs.run(*command, timeout_seconds=VERSION_SECONDS, max_output_bytes=MAX_SPEC_BYTES)
    except ProgramError as error:
        return replace(agent, unavailable_reason=f"its version command failed: {error}")
    if result.returncode != 0:
        return replace(
            agent, unavailable_reason=f"its version command failed with code {result.returncode}: {result.complaint}"
        )
    told = result.stdout.decode(errors="replace")
    is_analyzer = agent.spec.analyzer is not None
    version = version_in(told) if is_analyzer else told.split("\n")[0].strip()
    return replace(agent, version=version[:MAX_VERSION_LENGTH])
