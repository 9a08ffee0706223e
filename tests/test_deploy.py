"""The samples for operators: configurations name every setting with its default, and the units of systemd start. Keeps K5, K14."""

import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import asdict, fields
from pathlib import Path

import pytest

import agenthost.config
import conductor.config
from agenthost.core.snapshots.eviction import DEFAULT_KEEPING
from tests.docs.pages import page
from tests.kit.services import Service, free_port
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.processes

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
    assert sample["pushes"] == {"caller_bytes": "8GiB", "total_bytes": "64GiB", "keep": "7d"}
    assert conductor.config.Pushes() == conductor.config.Pushes(8 * 1024**3, 64 * 1024**3, 7 * 86_400)
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


def _command(unit: str, places: dict[str, str]) -> list[str]:
    """Returns what a unit starts, with its folders moved elsewhere."""
    (line,) = re.findall(r"^ExecStart=(.+)$", (DEPLOY / "systemd" / f"{unit}.service").read_text(), re.MULTILINE)
    for place, other in places.items():
        line = line.replace(place, other)
    return line.split()


@pytest.mark.long
def test_the_recipe_for_systemd_starts_both_services(tmp_path: Path) -> None:
    recipe = page("operations").block("sh systemd")
    (root,) = re.findall(r"^mkdir -p (\S+)$", recipe, re.MULTILINE)
    address = f"127.0.0.1:{free_port()}"
    places = {
        "/var/lib": str(tmp_path),
        "/run/agenthost": str(tmp_path),
        "127.0.0.1:7410": address,
        root: str(tmp_path),
    }
    (folder,) = re.findall(r"python3 -m venv (\S+) ", recipe)
    services = []
    try:
        for unit in ("agenthost", "conductor"):
            program, *arguments = _command(unit, places)
            assert program == f"{folder}/bin/{unit}"
            services.append(Service([f"{unit}.cli", *arguments], tmp_path / f"{unit}.log"))
            services[-1].start()
        wait_until(lambda: "all good" in call("--address", address, "doctor").stdout)
    finally:
        for service in reversed(services):
            service.stop()


def test_a_users_units_name_folders_that_systemd_makes() -> None:
    for unit in ("agenthost", "conductor"):
        text = (DEPLOY / "systemd" / "user" / f"{unit}.service").read_text()
        settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))

        assert f"--data %S/{settings['StateDirectory']}" in settings["ExecStart"]
        assert settings["WantedBy"] == "default.target"
        assert not {"User", "Group"} & set(settings)
    assert "ExecStartPre=+/bin/mkdir -p /srv/code" in (DEPLOY / "systemd" / "conductor.service").read_text()


@pytest.mark.parametrize("unit", ["agenthost", "conductor"])
def test_systemd_accepts_a_unit(unit: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on this machine, so the units are not verified")
    for each in ("agenthost", "conductor"):
        text = (DEPLOY / "systemd" / f"{each}.service").read_text()
        (tmp_path / f"{each}.service").write_text(text.replace(f"/opt/conductor/bin/{each}", sys.executable))
    done = subprocess.run(
        [analyze, "verify", tmp_path / f"{unit}.service"], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line and "DelegateSubgroup" not in line]

    assert complaints == []


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conductor.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
