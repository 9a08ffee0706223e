"""Settings: flags over a file over defaults, every problem at once. Keeps K5 and K3."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from conductor.config import Clocks, HostSetting, Limits, Retention, Settings, load
from conductor.errors import ConfigurationError
from servicekit.collectors import Collector

DEFAULTS: dict[str, Any] = {"default_listen": "127.0.0.1:7070", "default_data": Path("/var/lib/conductor")}


def problem(**given: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**DEFAULTS, **given)
    return str(caught.value)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "conductor.toml"
    path.write_text(text)
    return path


def test_defaults_are_enough() -> None:
    settings = load(**DEFAULTS)

    assert settings.listen.target == "127.0.0.1:7070"
    assert settings.data == Path("/var/lib/conductor")
    assert (settings.hosts, settings.roots, settings.limits) == ((), (), Limits())


def test_a_flag_hides_the_file_and_the_file_hides_the_default(tmp_path: Path) -> None:
    config = written(
        tmp_path,
        f"""
        listen = "unix:/tmp/c.sock"
        data = "/tmp/data"
        roots = ["{tmp_path}"]
        [hosts]
        alpha = "unix:/tmp/alpha.sock"
        [logs]
        format = "json"
        [limits]
        unfinished_runs = 7
        """,
    )
    settings = load(**DEFAULTS, config=config, data=Path("/tmp/other"), hosts=("beta=127.0.0.1:9",))

    assert settings.listen.target == "unix:/tmp/c.sock"
    assert settings.data == Path("/tmp/other")
    assert settings.hosts == (HostSetting("beta", "127.0.0.1:9"),)
    assert settings.roots == (tmp_path,)
    assert (settings.log_format, settings.limits.unfinished_runs) == ("json", 7)


@pytest.mark.parametrize(
    ("given", "store", "data"),
    [
        ({}, "", "/var/lib/conductor"),
        ({"store": "sqlite:///srv/c"}, "", "/srv/c"),
        ({"store": "sqlite:///srv/c", "data": Path("/srv/c")}, "", "/srv/c"),
        ({"store": "postgresql://ann@db/flows"}, "postgresql://ann@db/flows", "/var/lib/conductor"),
    ],
)
def test_the_store_is_sqlite_in_the_data_folder_or_a_database(given: dict[str, Any], store: str, data: str) -> None:
    settings = load(**DEFAULTS, **given)

    assert (settings.store, settings.data) == (store, Path(data))


@pytest.mark.parametrize(
    ("store", "what"),
    [
        ("postgresql://ann:secret@db/flows", "PGPASSFILE"),
        ("postgresql://ann@db/flows?password=secret", "PGPASSFILE"),
        ("host=db password=secret dbname=flows", "PGPASSFILE"),
        ("mysql://db/flows", "postgresql://USER@HOST/DB or sqlite:///DIR"),
        ("sqlite://relative", "the whole path of a folder"),
        ("sqlite:///srv/c", "SQLite keeps its file in the data folder"),
        ("postgresql://[", "store is no URL"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_and_no_password_is_repeated(store: str, what: str) -> None:
    told = problem(store=store, data=Path("/srv/other"))

    assert what in told
    assert "secret" not in told


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    config = written(tmp_path, 'listen = "0.0.0.0:1"\nlisten_to = 3\n[limits]\nunfinished_runs = 0\nturtles = 4\n')
    told = problem(config=config, hosts=("Alpha=unix:/x", "beta", "c=192.168.0.1:1"), roots=(tmp_path / "no",))

    for part in (
        "TLS",
        "'listen_to'",
        "unfinished_runs",
        "'limits.turtles'",
        "'Alpha'",
        "NAME=ADDRESS",
        "hosts.c: ",
        "not a directory",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("listen = [", "cannot read"),
        (f"data = {'1' * 5_000}", "cannot read"),
        (f"data = {'[' * 5_000}", "cannot read"),
        ("listen = [true]", "'listen' must be a text"),
        ("data = {}", "'data' must be a text"),
        ('data = ""', "'data' must be a text"),
        (r'data = "\u0000"', "'data' must be a text"),
        ("project = 3", "'project' must be a text"),
        (f'project = "{"x" * 5_000}"', "is not a directory"),
        (f'roots = ["{"x" * 5_000}"]', "is not a directory"),
        (f"[clocks]\nrun_timeout_seconds = {'1' * 400}", "clocks.run_timeout_seconds must be a number of seconds"),
        ("hosts = 3", "'hosts' must be a table"),
        ('roots = "x"', "'roots' must be a list"),
        ('[logs]\nformat = "xml"', "logs.format"),
        ('[logs]\ncolour = "red"', "logs.colour"),
        ("[limits]\nstop_seconds = true", "stop_seconds"),
        ("[limits]\nstop_seconds = 2.5", "stop_seconds"),
        ("clocks = 3", "'clocks' must be a table"),
        ("[clocks]\nstep = 3", "there is no setting 'clocks.step'"),
        ("listten = 'x'", "there is no setting 'listten': did you mean 'listen'? There are access, blobs, clocks, "),
        (
            "[clocks]\nrun_timeout = 3",
            "there is no setting 'clocks.run_timeout': did you mean 'run_timeout_seconds'? There are ",
        ),
        ("[clocks]\nrun_timeout_seconds = '1h'", "clocks.run_timeout_seconds must be a number of seconds, not '1h'"),
        ("[clocks]\nrun_timeout_seconds = inf", "at most 2592000, not inf"),
        ("[clocks]\nrun_timeout_seconds = nan", "not nan"),
        ("[clocks]\nidle_timeout_seconds = 0", "clocks.idle_timeout_seconds must be more than 0"),
    ],
)
def test_a_bad_file_is_refused_by_its_key(text: str, part: str, tmp_path: Path) -> None:
    assert part in problem(config=written(tmp_path, text))


def test_agents_must_have_ended_before_they_count_as_lost(tmp_path: Path) -> None:
    """Keeps I4 and rule 8: both figures are named, and what would be right."""
    told = problem(config=written(tmp_path, "[clocks]\norphan_timeout_seconds = 100\nlost_after_seconds = 111.9"))

    for part in ("lost_after_seconds is 111.9", "live 100 s", "clocks.orphan_timeout_seconds", "at least 112"):
        assert part in told
    assert load(
        **DEFAULTS, config=written(tmp_path, "[clocks]\norphan_timeout_seconds = 100\nlost_after_seconds = 112")
    )


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert "cannot read" in problem(config=tmp_path / "none.toml")


def test_a_host_given_twice_is_a_problem() -> None:
    assert "twice" in problem(hosts=("a=unix:/x", "a=unix:/y"))


def test_what_is_in_force_is_shown_by_name() -> None:
    shown = load(**DEFAULTS, hosts=("a=unix:/x",)).shown()

    assert shown["hosts.a"] == "unix:/x"
    assert shown["limits.unfinished_runs"] == "200"
    assert all(isinstance(value, str) for value in shown.values())


def test_settings_are_values() -> None:
    assert load(**DEFAULTS) == load(**DEFAULTS)
    assert isinstance(load(**DEFAULTS), Settings)


def test_nothing_is_deleted_until_the_operator_says_so_and_bounds_have_units(tmp_path: Path) -> None:
    """Keeps K6."""
    config = written(tmp_path, '[retention]\nmax_age = "90d"\nmax_bytes = "20 GiB"\n')
    settings = load(**DEFAULTS, config=config)

    assert load(**DEFAULTS).retention == Retention()
    assert settings.retention == Retention(max_age_seconds=90 * 86_400, max_bytes=20 * 1024**3)
    assert settings.shown()["retention.max_age"] == "90d"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('max_age = "90"', "retention.max_age must be a whole number with a unit of h, d, w, not '90'"),
        ('max_age = "0d"', "retention.max_age must be at least 1"),
        ("max_age = 90", "retention.max_age must be a whole number"),
        ('max_bytes = "20GB"', "with a unit of B, KiB, MiB, GiB, TiB, not '20GB'"),
        ('max_runs = "5"', "there is no setting 'retention.max_runs'"),
    ],
)
def test_a_bound_that_is_none_is_named(text: str, what: str, tmp_path: Path) -> None:
    assert what in problem(config=written(tmp_path, f"[retention]\n{text}\n"))


def test_every_setting_of_every_section_is_refused_by_its_name(tmp_path: Path) -> None:
    wrong = ["-1", "true", "nan", "[1]", "[[]]", "{ a = 1 }", "2026-01-01", "1e400", r'"\u0000"']
    sections = {"logs": ["format", "level"], "retention": ["max_age", "max_bytes"], "hosts": ["alpha"]}
    sections |= {"limits": [each.name for each in fields(Limits)], "clocks": [each.name for each in fields(Clocks)]}
    places = [("", key) for key in ("listen", "data", "roots", "project")]
    for section, key in [*places, *((section, key) for section, keys in sections.items() for key in keys)]:
        for value in wrong:
            text = f"[{section}]\n{key} = {value}" if section else f"{key} = {value}"
            assert (f"{section}.{key}" if section else key) in problem(config=written(tmp_path, text)), value


def test_a_home_is_found_in_the_file_as_in_the_shell_or_missed_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = written(tmp_path, 'data = "~/state"\nroots = ["~"]')

    assert load(**DEFAULTS, config=config).data == tmp_path / "state"
    assert load(**DEFAULTS, config=config).roots == (tmp_path,)
    assert "'data' is '~no-such-user/x'" in problem(data=Path("~no-such-user/x"))


def test_a_user_without_a_home_must_name_the_data_and_may(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'data' is not set, and this user has no home folder"):
        load(**{**DEFAULTS, "default_data": None})

    assert load(**{**DEFAULTS, "default_data": None}, data=tmp_path).data == tmp_path


def test_data_whose_name_is_not_text_can_be_told(tmp_path: Path) -> None:
    settings = load(**DEFAULTS, data=tmp_path / os.fsdecode(b"caf\xe9"))

    assert settings.shown()["data"] == f"{tmp_path}/caf\\xe9"


def test_metrics_are_served_where_an_address_is_given_and_on_this_machine_only(tmp_path: Path) -> None:
    """Keeps K11 and K3."""
    config = written(tmp_path, '[metrics]\nlisten = "127.0.0.1:9464"\n')

    assert load(**DEFAULTS).metrics is None
    assert str(load(**DEFAULTS, config=config).shown()["metrics.listen"]) == "127.0.0.1:9464"
    assert load(**DEFAULTS, config=config, metrics="unix:/tmp/m.sock").shown()["metrics.listen"] == "unix:/tmp/m.sock"
    refused = problem(metrics="0.0.0.0:9464")
    assert "metrics.listen: '0.0.0.0:9464' reaches beyond this machine, which needs TLS" in refused
    assert "there is no setting 'metrics.port'" in problem(config=written(tmp_path, "[metrics]\nport = 1\n"))


def test_traces_go_to_the_collector_of_the_file_or_of_the_standard_variables(tmp_path: Path) -> None:
    """Keeps K11."""
    config = written(tmp_path, '[traces]\nendpoint = "https://tracing:4317"\n')
    name, local = "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"
    named = {name: local}

    assert load(**DEFAULTS).traces == Collector()
    assert load(**DEFAULTS, environment=named).traces == Collector(local, name)
    assert load(**DEFAULTS, environment=named, config=config).traces == Collector("https://tracing:4317")
    assert load(**DEFAULTS, environment={**named, "OTEL_SDK_DISABLED": "true"}).traces == Collector()
    assert load(**DEFAULTS, environment={**named, "OTEL_TRACES_EXPORTER": "none"}).traces == Collector()
    assert "traces.endpoint is 'x': give http" in problem(config=written(tmp_path, '[traces]\nendpoint = "x"\n'))


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "traces are sent over gRPC only"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "tracing"}, "give http://HOST:PORT"),
    ],
)
def test_a_variable_that_cannot_be_used_keeps_no_conductor_from_starting(variables: dict[str, str], why: str) -> None:
    """Variables are often set for all programs of a machine."""
    found = load(**DEFAULTS, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", **variables}).traces

    assert found.endpoint == ""
    assert why in found.problem


def test_more_hosts_than_the_limit_are_refused(tmp_path: Path) -> None:
    """Keeps K5."""
    hosts = "".join(f'h{number} = "unix:/run/{number}.sock"\n' for number in range(3))
    text = f"[limits]\nhosts = 2\n[hosts]\n{hosts}"

    assert "hosts: there are 3, and limits.hosts is 2" in problem(config=written(tmp_path, text))
