"""Loads the settings of a conductor: flags over a TOML file over defaults, validated as a whole before anything starts.

Reads files and environment for nothing else; starts nothing.

    listen = "unix:/run/conductor.sock"      roots = ["/src"]      project = "/src/mine"
    store = "postgresql://USER@HOST/DB"                            # else SQLite in the data folder
    blobs = "s3://bucket/prefix?endpoint=https://s3.example.org"
    [hosts]      alpha = "unix:/run/alpha.sock"
    [logs]       format = "json"             level = "info"
    [limits]     unfinished_runs = 200
    [clocks]     run_timeout_seconds = 86400
    [metrics]    listen = "127.0.0.1:9464"
    [tls]        cert = "server.pem"         key = "server-key.pem"      ca = "ca.pem"     # else DATA/tls, where that exists
    [traces]     endpoint = "http://127.0.0.1:4317"                # of a collector, over gRPC
    [retention]  max_age = "90d"             max_bytes = "20GiB"     # nothing is deleted where neither is given
    [pushes]     caller_bytes = "8GiB"       total_bytes = "64GiB"   keep = "7d"
    [fetch]      hosts = ["git.example.org"]   max_bytes = "1GiB"   max_seconds = 300   ca = "lan.pem"   # nothing without hosts
    [access]     loopback_role = "viewer"    # of callers without a token; by default admin until there are tokens, then viewer
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from conductor.config.settings import LOG_FORMATS, LOG_LEVELS, Settings, readable
from conductor.config.tables import (
    read_access,
    read_clocks,
    read_hosts,
    read_limits,
    read_metrics,
    read_project,
    read_pushes,
    read_retention,
    read_roots,
    read_store,
    read_traces,
    split_host,
)
from conductor.config.values import (
    choose,
    read_address,
    read_document,
    read_folder,
    read_paths,
    read_switch,
    read_table,
    read_text,
)
from conductor.errors import ConfigurationError
from servicekit.addresses import Address
from servicekit.errors import there_are
from servicekit.fetching.settings import read_fetch
from servicekit.host_settings import read_host
from servicekit.tls.settings import TlsSettingError, TlsSettings, read_tls

_KEYS = frozenset(
    {
        *(
            "listen",
            "data",
            "store",
            "blobs",
            "shared_data",
            "roots",
            "project",
            "hosts",
            "logs",
            "limits",
            "clocks",
            "retention",
        ),
        *("metrics", "traces", "tls", "pushes", "access", "fetch"),
    }
)


def load(
    *,
    default_listen: str,
    default_data: Path | None,
    listen: str | None = None,
    data: Path | None = None,
    store: str | None = None,
    blobs: str | None = None,
    shared_data: bool = False,
    config: Path | None = None,
    hosts: Sequence[str] = (),
    roots: Sequence[Path] = (),
    project: Path | None = None,
    metrics: str | None = None,
    tls: Mapping[str, Path | None] | None = None,
    allow_fetch: Sequence[str] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """Makes the settings of flags and file; a flag overrides its key in the file.

    `default_data` is None for a user without a home. Raises ConfigurationError, which names every problem at once.
    """
    problems: list[str] = []
    document = read_document(config, problems)
    known = sorted(_KEYS)
    problems += [f"there is no setting '{key}'{there_are(key, known)}" for key in sorted(document.keys() - _KEYS)]
    logs = read_table(document, "logs", problems)
    named = [split_host(text, problems) for text in hosts] or list(read_table(document, "hosts", problems).items())
    found_store, usual = read_store(store or read_text(document, "store", "", problems), default_data, problems)
    folder = read_folder("data", data or read_text(document, "data", usual, problems), problems)
    if usual != str(default_data or "") and folder != Path(usual):
        problems.append(f"store is in '{usual}' and data is '{folder}': SQLite keeps its file in the data folder")
    found_tls = _tls(document.get("tls", {}), tls or {}, folder, problems)
    settings = Settings(
        listen=read_address("listen", listen or read_text(document, "listen", default_listen, problems), problems),
        data=folder,
        store=found_store,
        blobs=blobs or read_text(document, "blobs", "", problems),
        shared_data=shared_data or read_switch(document, "shared_data", problems),
        hosts=tuple(read_hosts(named, problems)),
        roots=tuple(read_roots(roots or read_paths(document, "roots", problems), problems, may_lack=bool(found_store))),
        project=read_project(project or read_text(document, "project", "", problems), problems),
        log_format=choose("logs.format", logs.get("format", "plain"), LOG_FORMATS, problems),
        log_level=choose("logs.level", logs.get("level", "info"), LOG_LEVELS, problems),
        limits=read_limits(read_table(document, "limits", problems), problems),
        clocks=read_clocks(read_table(document, "clocks", problems), problems),
        retention=read_retention(read_table(document, "retention", problems), problems),
        metrics=read_metrics(metrics, read_table(document, "metrics", problems), problems),
        tls=found_tls or TlsSettings(),
        pushes=read_pushes(read_table(document, "pushes", problems), problems),
        traces=read_traces(read_table(document, "traces", problems), environment, problems),
        access=read_access(read_table(document, "access", problems), problems),
        fetch=read_fetch(read_table(document, "fetch", problems), allow_fetch, environment, problems),
    )
    if (given := len(settings.hosts)) > settings.limits.hosts:
        problems.append(
            f"hosts: there are {given}, and limits.hosts is {settings.limits.hosts}: set it higher, or name fewer"
        )
    if not usual and not data and not document.get("data"):
        problems.append("'data' is not set, and this user has no home folder: give --data DIR")
    problems += [f"there is no setting 'logs.{key}'" for key in sorted(logs.keys() - {"format", "level"})]
    hints = [f"see {config}"] if problems and config else []
    bare = [] if found_tls is None else list(_bare_addresses(settings))
    if problems or bare:
        hints += _make_certificates(settings) if bare else []
        raise ConfigurationError("; ".join([*problems, *bare]), hint="\n".join(hints))
    return settings


def _make_certificates(settings: Settings) -> tuple[str, str]:
    """Returns the two commands that mend an address without TLS."""
    data = shlex.quote(readable(settings.data))
    metrics = f" --metrics {settings.metrics.text}" if settings.metrics else ""
    return (
        f"make the pool's certificates:  conductor certs init --data {data} --address ADDRESS",
        f"then start it again with them: conductor serve --data {data} --listen {settings.listen.text}{metrics}",
    )


def _bare_addresses(settings: Settings) -> Iterable[str]:
    """Returns what is wrong with addresses that other machines reach: they need TLS."""
    tls, metrics = settings.tls, settings.metrics or Address("")
    for name, address in (("listen", settings.listen), ("metrics.listen", metrics)):
        if address.text and not address.is_local and not tls.serves(address):
            yield f"{name}: '{address.text}' reaches beyond this machine, which needs TLS, and there are no certificates"
    for host in settings.hosts:
        flaws = read_host(host.name, host.address, has_tls=tls.calling is not None)[1] if host.address else {}
        if flaw := flaws.get("tls"):
            yield f"hosts.{host.name}: {flaw}"


def _tls(table: object, flags: Mapping[str, Path | None], data: Path, problems: list[str]) -> TlsSettings | None:
    try:
        return read_tls(table, flags, data)
    except TlsSettingError as error:
        problems.append(str(error))
        return None
