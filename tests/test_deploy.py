"""The sample configurations name every setting there is, with the value that it has where nothing is said. Keeps K5."""

import re
import tomllib
from dataclasses import asdict, fields
from pathlib import Path

import pytest

import agenthost.config
import conductor.config
from agenthost.core.snapshots.eviction import DEFAULT_KEEPING

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
# A setting that is shown and not set: a name, "=", and a value.
SHOWN = re.compile(r"^# (?=[a-z_]+ = )", re.MULTILINE)


def said(name: str) -> dict[str, object]:
    """Everything in a sample, as if it were set; what belongs to no service in particular left out."""
    text, _, _ = (DEPLOY / name).read_text().partition("# One table for each model")
    return tomllib.loads(SHOWN.sub("", text))


def test_the_conductors_sample_names_every_setting_with_its_default() -> None:
    sample = said("conductor.toml")

    assert set(sample) == {each.name for each in fields(conductor.config.Settings)} - {"log_format", "log_level"} | {
        "logs"
    }
    assert sample["limits"] == asdict(conductor.config.Limits())
    assert sample["clocks"] == asdict(conductor.config.Clocks())
    assert set(asdict(conductor.config.Retention())) == {"max_age_seconds", "max_bytes"}
    assert sample["retention"] == {"max_age": "", "max_bytes": ""}
    assert sample["logs"] == {"format": "plain", "level": "info"}


def test_the_hosts_sample_names_every_setting_with_its_default(tmp_path: Path) -> None:
    sample = said("agenthost.toml")
    settings = agenthost.config.Settings(listen="", data=tmp_path, name="x")

    assert set(sample) == {each.name for each in fields(settings)} - {"keeping", "models"}
    assert sample["limits"] == {**asdict(settings.limits), **asdict(DEFAULT_KEEPING)}
    for name in ("agents_dirs", "end_agents_on_stop", "unheard_seconds", "unheard_bytes", "log_format", "log_level"):
        value = getattr(settings, name)
        assert sample[name] == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize("name", ["conductor.toml", "agenthost.toml"])
def test_a_sample_is_taken_as_it_stands(name: str, tmp_path: Path) -> None:
    if name == "agenthost.toml":
        assert agenthost.config.load_settings(DEPLOY / name, {}).name == "local"
        return
    settings = conductor.config.load(config=DEPLOY / name, default_listen="127.0.0.1:7410", default_data=tmp_path)
    assert [host.name for host in settings.hosts] == ["local"]
