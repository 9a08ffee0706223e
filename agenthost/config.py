"""Reads the settings of a host: defaults, then a file, then flags; and names the service's limits.

The file is TOML with the names of `Settings`. `[limits]` narrows what a Start may ask for (units as in `core.admission.order`), and
sets how many snapshots are kept, and for how long (`core.snapshots.eviction.Keeping`). `[models.NAME]` names an endpoint that
agents' specs may use (settings as in `core.models.endpoint`). `[commands.NAME]` is a program that flows may run
(`core.admission.commands`). `[labels]` are what flows choose hosts by. `[metrics] listen` serves metrics for Prometheus. `[tls]`
names certificates of the operator's own PKI; without it those in the data folder serve, where `agenthost join` has put some.
"""

import os
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from agenthost.core.admission.admission import UNHEARD_BYTES, UNHEARD_SECONDS
from agenthost.core.admission.agent_spec import AgentSpec, SpecError
from agenthost.core.admission.commands import MAX_COMMANDS, read_command
from agenthost.core.admission.order import HIGHEST, LEAST_MEMORY_BYTES, WIDEST, Limits
from agenthost.core.snapshots.eviction import DEFAULT_KEEPING, MOST_KEEPING, Keeping
from agenthost.errors import ConfigurationError
from agenthost.models.settings import ModelSettings, read_models
from servicekit.addresses import Address, AddressError
from servicekit.errors import shown, there_are
from servicekit.tls.files import TlsFolder
from servicekit.tls.issuing.membership import read_membership
from servicekit.tls.settings import KEYS, TlsSettingError, TlsSettings, read_tls

PROGRAMS = Path(__file__).parent / "agents"  # ours, which run in sandboxes
LOG_FORMATS = ("plain", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_SLOTS = 1000
MAX_LABELS = 32
MAX_LABEL_CHARACTERS = 63
DEFAULT_MODEL = "default"  # the endpoint of --model, and of the built-in agent `reader`
MOST_UNHEARD_SECONDS = 10 * 365 * 86_400
MOST_BYTES = 1 << 50  # a pebibyte: above every disk
MAX_PROMPT_BYTES = 1024 * 1024
HEARTBEAT_SECONDS = 2.0
# Open at rest, without attempts, with the high numbers for a shim's descriptors (`process.FIRST_FREE_FD`).
MIN_DESCRIPTORS = 128
# From `finished` to the client's half-close: otherwise gRPC loses the status.
LINGER_SECONDS = 2.0
# For the rest of a cancelled agent's output, from its end on; what is not read by then is left out.
REST_SECONDS = 2.0
# How often a shim's lease is renewed while a conductor is attached.
LEASE_SECONDS = 5.0
STOP_GRACE_SECONDS = 5.0
# For watchers to read the last message at a stop; one that does not read misses it.
GOODBYE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one host."""

    listen: str
    data: Path
    name: str
    slots: int = field(default_factory=lambda: 2 * (os.cpu_count() or 1))
    agents_dirs: tuple[Path, ...] = ()
    limits: Limits = WIDEST
    keeping: Keeping = DEFAULT_KEEPING
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    # How long unacknowledged ends are kept, and how much output of all of them.
    unheard_seconds: float = UNHEARD_SECONDS
    unheard_bytes: int = UNHEARD_BYTES
    labels: Mapping[str, str] = field(default_factory=dict)  # flows choose hosts by them
    commands: Mapping[str, AgentSpec] = field(default_factory=dict)  # that flows may run, by name
    tls: TlsSettings = field(default_factory=TlsSettings)
    metrics: Address | None = None  # where Prometheus reads; None serves no metrics
    announce: bool = False  # on the network, by multicast DNS
    end_agents_on_stop: bool = False  # SIGTERM otherwise leaves them to the next daemon
    log_format: str = "plain"
    log_level: str = "info"


def load_settings(file: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Merges the settings; raises ConfigurationError that names the wrong one. Flags that are None are not given."""
    table = _read(file) if file else {}
    known = {setting.name for setting in fields(Settings)} - {"keeping"}
    flags = dict(flags)
    model = flags.pop("model", None)
    of_model = {name: flags.pop(flag, None) or "" for name, flag in (("model", "model_name"), ("key_env", "key_env"))}
    tls_flags = {key: flags.pop(f"tls_{key}", None) for key in KEYS}
    if any(of_model.values()) and not model:
        raise ConfigurationError("--model-name and --key-env need --model URL")
    if unknown := sorted(set(table) - known):
        raise ConfigurationError(f"{file}: '{unknown[0]}' is not a setting{there_are(unknown[0], sorted(known))}")
    if labels := flags.pop("labels", None):
        flags["labels"] = _add_labels(table.get("labels", {}), labels)
    values: dict[str, Any] = {**table, **{name: value for name, value in flags.items() if value is not None}}
    values |= _of_membership(values)
    for required in ("listen", "data", "name"):
        if not values.get(required):
            raise ConfigurationError(
                f"--{required} is required: give the flag, or '{required}' in a file with --config", hint=_join(values)
            )
    _check_types(values)
    values["data"] = _path("data", values["data"])
    values["agents_dirs"] = tuple(_path("agents_dirs", folder) for folder in values.get("agents_dirs", ()))
    values["limits"], values["keeping"] = _limits(values.get("limits", {}))
    models = values.get("models", {})
    if model and isinstance(models, Mapping):
        others = {name: of_file for name, of_file in models.items() if name != DEFAULT_MODEL}
        values["models"] = {**read_models(others), **_of_flags({"url": model, **of_model})}
    else:
        values["models"] = read_models(models)
    values["commands"] = _commands(values.get("commands", {}))
    values["tls"] = _tls(values, tls_flags)
    values["metrics"] = metrics = _metrics(values.get("metrics"))
    if metrics and not metrics.is_local and not values["tls"].serves(metrics):
        raise _bare("metrics.listen", metrics, str(values["name"]), values["data"])
    settings = Settings(**values)
    _check(settings)
    return settings


def _add_labels(table: Any, given: Sequence[str]) -> Any:
    """Returns the labels of the file with those of flags, which win."""
    pairs = [text.partition("=") for text in given]
    if odd := next((text for text, (name, equals, _) in zip(given, pairs, strict=True) if not (name and equals)), None):
        raise ConfigurationError(f"--label takes NAME=VALUE, not '{odd}'")
    return {**table, **{name: value for name, _, value in pairs}} if isinstance(table, Mapping) else table


def _of_membership(values: Mapping[str, Any]) -> Mapping[str, str]:
    """Returns name and address of a host that joined a pool, where they are not given; raises TlsError for a damaged file."""
    data = values.get("data")
    if not isinstance(data, str | Path) or not data or "\0" in str(data):
        return {}
    member = read_membership(TlsFolder.of(_path("data", data)))
    told = {"listen": member.listen, "name": member.name} if member else {}
    return {key: text for key, text in told.items() if not values.get(key)}


def _join(values: Mapping[str, Any]) -> str:
    """Returns how a host of a pool gets its name and address, where its data folder is known."""
    data = values.get("data")
    return (
        f"or take in this host's bundle, which names both:  agenthost join FILE --data {shlex.quote(str(data))}"
        if data
        else ""
    )


def _metrics(given: Any) -> Address | None:
    """Reads the address of a flag, or of the table in the file."""
    if isinstance(given, Mapping):
        if unknown := sorted(set(given) - {"listen"}):
            raise ConfigurationError(f"there is no setting 'metrics.{unknown[0]}'; there is listen")
        given = given.get("listen") or None
    if given is None:
        return None
    if not isinstance(given, str):
        raise ConfigurationError(f"metrics is {shown(given)}: it must be an address, as [metrics] listen")
    try:
        return Address.parse(given, is_anywhere=True)
    except AddressError as error:
        raise ConfigurationError(f"metrics.listen: {error}") from error


def _tls(values: Mapping[str, Any], flags: Mapping[str, Any]) -> TlsSettings:
    """Reads the settings of TLS; raises ConfigurationError where other machines reach the address and there is none."""
    address = Address.parse(str(values["listen"]), is_anywhere=True)
    try:
        tls = read_tls(values.get("tls", {}), flags, values["data"])
    except TlsSettingError as error:
        raise ConfigurationError(str(error)) from error
    if not address.is_local and not tls.serves(address):
        raise _bare("listen", address, str(values["name"]), Path(values["data"]))
    return tls


def _bare(setting: str, address: Address, name: str, data: Path) -> ConfigurationError:
    place = address.text if not address.is_wildcard else f"ADDRESS:{address.text.rpartition(':')[2]}"
    return ConfigurationError(
        f"{setting}: '{address.text}' reaches beyond this machine, which needs TLS, and there are no certificates",
        hint=f"on the conductor's machine:  conductor certs host {name} --address {place} --data DIR --out {name}.agenthost\n"
        f"then here, with that file:   agenthost join {name}.agenthost --data {shlex.quote(str(data))}",
    )


def _check_types(values: Mapping[str, Any]) -> None:
    for name in ("listen", "data", "name"):
        if not isinstance(values[name], str | Path) or "\0" in str(values[name]):
            raise ConfigurationError(f"{name} is {shown(values[name])}: it must be a text")
    try:
        Address.parse(str(values["listen"]), is_anywhere=True)
    except AddressError as error:
        raise ConfigurationError(f"listen: {error}") from error
    for name, known in (("log_format", LOG_FORMATS), ("log_level", LOG_LEVELS)):
        if values.get(name, known[0]) not in known:
            raise ConfigurationError(f"{name} is {shown(values[name])}: it must be one of {', '.join(known)}")
    folders = values.get("agents_dirs", ())
    if not isinstance(folders, list | tuple) or not all(
        isinstance(folder, str | Path) and "\0" not in str(folder) for folder in folders
    ):
        raise ConfigurationError(f"agents_dirs is {shown(folders)}: it must be a list of paths")


def _path(name: str, given: str | Path) -> Path:
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigurationError(
            f"{name} is {str(given)!r}: there is no such home folder, so give the whole path"
        ) from error


def _of_flags(table: Mapping[str, str]) -> Mapping[str, ModelSettings]:
    """Reads the endpoint that flags name; an error names the flag, because no file holds the setting."""
    try:
        return read_models({DEFAULT_MODEL: table})
    except ConfigurationError as error:
        text = str(error)
        for setting, flag in (("url", "--model"), ("model", "--model-name"), ("key_env", "--key-env")):
            text = text.replace(f"models.{DEFAULT_MODEL}.{setting}", flag)
        raise ConfigurationError(text) from error


def _commands(table: Any) -> Mapping[str, AgentSpec]:
    if not isinstance(table, Mapping) or len(table) > MAX_COMMANDS:
        raise ConfigurationError(
            f"commands is {shown(table)}: it must be at most {MAX_COMMANDS} tables, as [commands.tests]"
        )
    found: dict[str, AgentSpec] = {}
    for name, command in table.items():
        try:
            found[name] = read_command(name, command, str(PROGRAMS))
        except SpecError as error:
            raise ConfigurationError(f"commands.{name}: {error}") from error
    return found


def models_of(file: Path) -> Mapping[str, ModelSettings]:
    """Returns the models of a file, whatever else is in it; raises ConfigurationError."""
    return read_models(_read(file).get("models", {}))


def limits_of(file: Path) -> Limits:
    """Returns the limits of a file, whatever else is in it; raises ConfigurationError."""
    return _limits(_read(file).get("limits", {}))[0]


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: {error}") from error


def _limits(table: Any) -> tuple[Limits, Keeping]:
    """Reads the limits of a Start and of kept snapshots: to an operator, both are limits of the host."""
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"limits is {shown(table)}: it must be a table, as [limits]")
    highest = {name: getattr(most, name) for most in (HIGHEST, MOST_KEEPING) for name in most.__slots__}
    for name, value in table.items():
        if name not in highest:
            raise ConfigurationError(f"limits.{name} is not a limit{there_are(name, highest)}")
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= highest[name]:
            raise ConfigurationError(
                f"limits.{name} is {shown(value)}: it must be a number above 0 and at most {highest[name]:.15g}"
            )
        if name.endswith("_bytes") and not isinstance(value, int):
            raise ConfigurationError(f"limits.{name} is {value!r}: it must be a whole number of bytes")
    if table.get("memory_bytes", LEAST_MEMORY_BYTES) < LEAST_MEMORY_BYTES:
        raise ConfigurationError(
            f"limits.memory_bytes is {table['memory_bytes']}: it must be at least {LEAST_MEMORY_BYTES}, or no sandbox starts"
        )
    keeping = {name: value for name, value in table.items() if name in Keeping.__slots__}
    return replace(WIDEST, **{name: table[name] for name in table.keys() - keeping}), Keeping(**keeping)


def _check(settings: Settings) -> None:
    if not isinstance(settings.announce, bool):
        raise ConfigurationError(f"announce is {shown(settings.announce)}: it must be true or false")
    if not isinstance(settings.end_agents_on_stop, bool):
        raise ConfigurationError(
            f"end_agents_on_stop is {shown(settings.end_agents_on_stop)}: it must be true or false"
        )
    for name, kinds, most in (
        ("unheard_seconds", (int, float), MOST_UNHEARD_SECONDS),
        ("unheard_bytes", (int,), MOST_BYTES),
    ):
        value: Any = getattr(settings, name)
        if type(value) not in kinds or not 0 < value <= most:
            what = "a number" if float in kinds else "a whole number"
            raise ConfigurationError(f"{name} is {shown(value)}: it must be {what} above 0 and at most {most}")
    slots: object = settings.slots
    if type(slots) is not int or not 1 <= slots <= MAX_SLOTS:
        raise ConfigurationError(f"slots is {shown(slots)}: it must be a whole number from 1 to {MAX_SLOTS}")
    if len(settings.name) > 63 or not settings.name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise ConfigurationError(f"name is '{settings.name}': it must be at most 63 letters, digits, '-', '_' or '.'")
    _check_labels(settings.labels)
    for folder in settings.agents_dirs:
        if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
            raise ConfigurationError(f"agents_dirs (--agents-dir): {folder} is not a directory")


def _check_labels(labels: Any) -> None:
    if not isinstance(labels, Mapping) or len(labels) > MAX_LABELS:
        raise ConfigurationError(
            f"labels is {shown(labels)}: it must be a table of at most {MAX_LABELS} texts, as [labels]"
        )
    for name, value in labels.items():
        if not isinstance(value, str) or not 0 < len(name) <= MAX_LABEL_CHARACTERS or len(value) > MAX_LABEL_CHARACTERS:
            raise ConfigurationError(
                f"labels.{name[:MAX_LABEL_CHARACTERS]} is {shown(value)}: name and value are texts of at most "
                f"{MAX_LABEL_CHARACTERS} characters"
            )


def require_descriptors(limit: int) -> None:
    """Raises ConfigurationError where the limit of open files is too low for a host, before anything fails for it."""
    if limit < MIN_DESCRIPTORS:
        raise ConfigurationError(
            f"this process may open {limit} files; a host needs {MIN_DESCRIPTORS}, and four for each attempt",
            hint="raise the hard limit before it starts: ulimit -Hn 65536 (or LimitNOFILE= of its unit; --ulimit of docker)",
        )
