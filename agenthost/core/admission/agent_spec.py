"""Parses an agent's spec file, and makes its command line. Other modules read files and look for programs.

An argument is replaced only as a whole: `{python}` is the interpreter, `{lens}` the value of the parameter `lens`. Nothing in a
request can add an argument, and the prompt is never one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from agenthost.core.admission.analyzers import (
    LAUNCHER,
    PROGRAM_FOLDER,
    SARIF,
    Analyzer,
    read_analyzer,
    read_evidence,
    read_program,
)
from agenthost.core.admission.file_texts import PLACEHOLDER, filled
from agenthost.core.admission.order import Parameter
from agenthost.core.admission.releases import read_tested
from agenthost.core.admission.spec_tables import (
    Bridge,
    SpecError,
    read_bridge,
    read_files,
    read_hides,
    read_mounts,
    read_resources,
)
from agenthost.core.models.endpoint import MODEL_NAME
from agenthost.core.models.gateway_rules import PORT
from agenthost.core.output.dialects.table import DIALECTS
from servicekit.errors import shown, there_are

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_Choice = TypeVar("_Choice", bound=StrEnum)
__all__ = [
    "NAME",
    "AgentSpec",
    "PromptDelivery",
    "SpecError",
    "command_line",
    "environment_of",
    "files_of",
    "parse_spec",
    "secrets_of",
]
_KEYS = frozenset(
    {
        "name", "description", "argv", "prompt", "dialect", "environment", "network", "model", "input", "parameters",
        "version", "version_command", "enforcement", "features", "requires", "install", "mounts", "files", "resources",
        "bridge", "hides", "turns", "tested", "program", "packages", "evidence", "analyzer",
    }
)  # fmt: skip


class PromptDelivery(StrEnum):
    """The way of the prompt to the agent. `FILE` is `/run/prompt` in the sandbox."""

    STDIN = "stdin"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """An agent as its file describes it. `install` is bound read-only at `/opt/agent`, relative to the spec's folder.

    The variables of `secret_environment` are passed like allowed ones, and their values are masked in all that the agent says.
    """

    name: str
    description: str
    argv: tuple[str, ...]
    dialect: str = "text"
    prompt: PromptDelivery = PromptDelivery.STDIN
    takes_input: bool = False  # texts for its stdin while its only turn runs
    has_turns: bool = False  # it takes further prompts, a line of JSON each, and says when a turn is over
    allowed_environment: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    secret_environment: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    version: str = ""
    version_command: tuple[str, ...] = ()
    tested: str = ""  # the releases that it was tested with, see `releases`
    enforcement: str = ""
    features: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    install: str = ""
    model: str = ""  # the endpoint that its network consists of; it has none where this is empty
    mounts: tuple[tuple[str, str], ...] = ()  # (name below /opt, folder), read-only, relative to the spec's folder
    files: tuple[tuple[str, str], ...] = ()  # (path below its home, text), written before it starts
    resources: tuple[tuple[str, int], ...] = ()  # those that differ from the usual
    bridge: Bridge | None = None
    hides: tuple[str, ...] = ()  # names at the root of a snapshot that it does not see: its own configuration
    program: str = ""  # a program of a Python package or of the system, bound alone below /opt/program
    has_packages: bool = False  # it sees the host's Python packages at /opt/packages
    names_places: bool = False  # its findings may name a place without a quote
    analyzer: Analyzer | None = None

    @property
    def offers(self) -> tuple[str, ...]:
        """Returns its features. Only settings say that it has turns or names places: conductors count on that."""
        settings = {"places": self.names_places, "turns": self.has_turns}
        words = tuple(word for word in self.features if word not in settings)
        return (*words, *(word for word, is_set in settings.items() if is_set))

    @property
    def is_driven(self) -> bool:
        """Returns whether a program of ours runs as the agent and drives it: a bridge, or `analyzer`."""
        return self.bridge is not None or self.analyzer is not None


def parse_spec(table: Mapping[str, Any]) -> AgentSpec:
    """Reads a spec; raises SpecError for its first fault."""
    if unknown := sorted(set(table) - _KEYS):
        raise SpecError(f"'{unknown[0]}' is not a setting of an agent{there_are(unknown[0], sorted(_KEYS))}")
    name = _string(table, "name")
    if not NAME.fullmatch(name):
        raise SpecError(f"name '{name}' must match {NAME.pattern}")
    allowed, fixed, secret = _environment(table.get("environment", {}))
    spec = AgentSpec(
        name=name,
        description=_string(table, "description"),
        argv=_strings(table, "argv"),
        dialect=_dialect(table),
        prompt=_one_of(PromptDelivery, table, "prompt", PromptDelivery.STDIN),
        takes_input=_flag(table, "input"),
        has_turns=_flag(table, "turns"),
        allowed_environment=allowed,
        environment=fixed,
        secret_environment=secret,
        parameters=_parameters(table.get("parameters", {})),
        version=_string(table, "version", ""),
        version_command=_strings(table, "version_command"),
        tested=read_tested(_string(table, "tested", "")),
        enforcement=_string(table, "enforcement", ""),
        features=_strings(table, "features"),
        requires=_strings(table, "requires"),
        install=_string(table, "install", ""),
        model=_model(table),
        mounts=read_mounts(table.get("mounts", {})),
        files=read_files(table.get("files", {})),
        resources=read_resources(table.get("resources", {})),
        bridge=read_bridge(table.get("bridge")),
        hides=read_hides(table.get("hides", [])),
        program=read_program(_string(table, "program", "")),
        has_packages=_flag(table, "packages"),
    )
    spec = _driven(_analyzing(spec, table), table)
    _check(spec)
    return spec


def command_line(spec: AgentSpec, python: str, parameters: Mapping[str, str], version: str = "") -> tuple[str, ...]:
    """Returns the agent's arguments inside the sandbox. `version` is told to our program that drives an analyzer."""
    values = {**parameters, "python": python, **_places(spec)}
    own = tuple(_replaced(argument, values) for argument in spec.argv)
    if spec.analyzer is not None:
        return (python, "-I", "-S", "/opt/bridge", "analyzer", spec.analyzer.settings(spec.name, version), "--", *own)
    if spec.bridge is None:
        return own
    bridge = spec.bridge
    names = (bridge.mode, bridge.login) if bridge.protocol == "acp" else ()
    return (python, "-I", "-S", "/opt/bridge", bridge.protocol, *names, "--", *own)


def files_of(spec: AgentSpec, parameters: Mapping[str, str]) -> dict[str, str]:
    """Returns the files of its home; `{NAME}` in a text becomes the value of that parameter, `{model_url}` its model's address."""
    values = {**parameters, "model_url": f"http://127.0.0.1:{PORT}"}
    return {path: filled(path, text, values) for path, text in spec.files}


def environment_of(
    spec: AgentSpec, surroundings: Mapping[str, str], parameters: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Returns the variables that the spec adds to the sandbox's own: those it allows, and those it sets.

    A value that is set is replaced as an argument is: only as a whole.
    """
    names = (*spec.allowed_environment, *spec.secret_environment)
    allowed = {name: surroundings[name] for name in names if name in surroundings}
    return {**allowed, **{name: _replaced(value, parameters) for name, value in spec.environment}}


def secrets_of(spec: AgentSpec, surroundings: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the values to mask in what the agent says."""
    environment = environment_of(spec, surroundings)
    return tuple(environment[name] for name in spec.secret_environment if name in environment)


def _places(spec: AgentSpec) -> dict[str, str]:
    """Returns what the host itself puts into argv."""
    program = {"program": f"{PROGRAM_FOLDER}/{spec.program}"} if spec.program else {}
    return program | ({"launcher": LAUNCHER} if spec.has_packages else {})


def _replaced(argument: str, values: Mapping[str, str]) -> str:
    match = PLACEHOLDER.fullmatch(argument)
    return values.get(match[1], argument) if match else argument


def _driven(spec: AgentSpec, table: Mapping[str, Any]) -> AgentSpec:
    """Returns the spec as its bridge needs it: the bridge reads a file and speaks jsonl."""
    if spec.bridge is None:
        return spec
    if given := sorted({"prompt", "dialect", "input"} & set(table)):
        raise SpecError(f"{given[0]} is the bridge's business: leave it out")
    return replace(spec, prompt=PromptDelivery.FILE, dialect="jsonl")


def _analyzing(spec: AgentSpec, table: Mapping[str, Any]) -> AgentSpec:
    """Returns the spec with what it says of an analyzer: our program reads no prompt and speaks jsonl."""
    is_analyzer = spec.dialect == SARIF
    places = read_evidence(_string(table, "evidence", ""), is_analyzer=is_analyzer, asks_model=bool(spec.model))
    if not is_analyzer:
        if "analyzer" in table:
            raise SpecError("analyzer needs dialect = 'sarif'")
        return replace(spec, names_places=places)
    if given := sorted({"prompt", "input", "turns", "bridge"} & set(table)):
        raise SpecError(f"{given[0]} is not for dialect = 'sarif': an analyzer gets no prompt. Leave it out")
    features = tuple(dict.fromkeys(("findings", *spec.features)))
    analyzer = read_analyzer(table.get("analyzer", {}), spec.argv)
    return replace(
        spec, dialect="jsonl", prompt=PromptDelivery.FILE, features=features, names_places=places, analyzer=analyzer
    )


def _check(spec: AgentSpec) -> None:
    if not spec.argv:
        raise SpecError("argv is required: the command line, one string for each argument")
    if spec.takes_input and spec.prompt is PromptDelivery.STDIN:
        raise SpecError("an agent with input = true needs prompt = 'file': on stdin nothing would end the prompt")
    if spec.has_turns and spec.dialect == "text":
        raise SpecError("turns = true needs dialect = 'jsonl' or 'stream-json': text does not tell the end of a turn")
    parameters = {parameter.name for parameter in spec.parameters}
    own = {*_places(spec), *(("files", "result") if spec.analyzer is not None else ())}
    if both := sorted(parameters & own):
        raise SpecError(f"parameters.{both[0]} must have another name: argv's {{{both[0]}}} is the host's own here")
    known = {"python"} | parameters | own
    for argument in spec.argv:
        match = PLACEHOLDER.fullmatch(argument)
        if match and match[1] not in known:
            raise SpecError(f"argv holds {argument}, but there is no parameter of that name")


def _string(table: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or "\0" in value:
        is_missing = value is None
        raise SpecError(
            f"{key} is required and must be a string" if is_missing else f"{key} is {shown(value)}: it must be a string"
        )
    return value


def _model(table: Mapping[str, Any]) -> str:
    network, model = _string(table, "network", "none"), _string(table, "model", "")
    match network:
        case "none" if not model:
            return ""
        case "model" if MODEL_NAME.fullmatch(model):
            return model
        case "none" | "model":
            raise SpecError("network = 'model' and model = 'NAME', one of the host's [models.NAME], belong together")
        case _:
            raise SpecError(f"network is '{network}': it must be 'none', or 'model' for one model endpoint")


def _dialect(table: Mapping[str, Any]) -> str:
    name = _string(table, "dialect", "text")
    if name not in {*DIALECTS, SARIF}:
        raise SpecError(f"dialect is '{name}': it must be one of {', '.join([*DIALECTS, SARIF])}")
    return name


def _strings(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(_is_plain(item) for item in value):
        raise SpecError(f"{key} is {shown(value)}: it must be a list of strings")
    return tuple(value)


def _flag(table: Mapping[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise SpecError(f"{key} is {shown(value)}: it must be true or false")
    return value


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _one_of(kind: type[_Choice], table: Mapping[str, Any], key: str, default: _Choice) -> _Choice:
    try:
        return kind(table.get(key, default))
    except ValueError as error:
        raise SpecError(f"{key} is {shown(table.get(key))}: it must be one of {', '.join(kind)}") from error


def _environment(table: Any) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[str, ...]]:
    if not isinstance(table, Mapping) or not set(table) <= {"allow", "set", "secret"}:
        raise SpecError("environment holds 'allow' and 'secret' (names) and 'set' (names and values), nothing else")
    fixed = table.get("set", {})
    if not isinstance(fixed, Mapping) or not all(_is_plain(value) for value in fixed.values()):
        raise SpecError(f"environment.set is {type(fixed).__name__}: it must be a table of strings, as NAME = 'value'")
    return _strings(table, "allow"), tuple(sorted(fixed.items())), _strings(table, "secret")


def _parameters(table: Any) -> tuple[Parameter, ...]:
    if not isinstance(table, Mapping):
        raise SpecError(f"parameters is {shown(table)}: it must be tables, as [parameters.lens]")
    return tuple(_parameter(name, value) for name, value in sorted(table.items()))


def _parameter(name: str, table: Any) -> Parameter:
    where = f"parameters.{name}"
    if not _PARAMETER_NAME.fullmatch(name) or name == "python":
        raise SpecError(f"{where} must match {_PARAMETER_NAME.pattern} and not be 'python'")
    if not isinstance(table, Mapping) or not set(table) <= {"pattern", "default"}:
        raise SpecError(f"{where} is {shown(table)}: it must hold 'pattern' and 'default', and nothing else")
    try:
        texts = [_string(table, "pattern"), _string(table, "default", "" if name == "model" else None)]
        pattern, default = re.compile(texts[0]), texts[1]
    except SpecError as error:
        raise SpecError(f"{where}.{error}") from error
    except re.error as error:
        raise SpecError(f"{where}.pattern is not a regular expression: {error}") from error
    if not pattern.fullmatch(default) and "default" in table:
        raise SpecError(f"{where}.default is '{default}', which does not match its pattern")
    return Parameter(name, pattern, default)
