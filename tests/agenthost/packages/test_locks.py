"""The lock files that ship: pinned, with hashes, from no named registry, and those that the specs were tested with. Keeps D12."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from agenthost.agent_specs import BUILT_IN
from agenthost.catalogue.spec_check import read_spec
from agenthost.core.admission.agent_spec import AgentSpec
from agenthost.packages.prefix import SHIPPED, packaged, shipped_lock

EVERY = pytest.mark.parametrize("name", packaged())


def lock_of(name: str) -> Mapping[str, Any]:
    packages: Mapping[str, Any] = json.loads((SHIPPED / name / "package-lock.json").read_bytes())["packages"]
    return packages


def manifest_of(name: str) -> Mapping[str, Any]:
    manifest: Mapping[str, Any] = json.loads((SHIPPED / name / "package.json").read_bytes())
    return manifest


def spec_of(name: str) -> AgentSpec:
    spec = read_spec(BUILT_IN / f"{name}.toml")
    assert isinstance(spec, AgentSpec), spec
    return spec


def test_six_agents_can_be_installed() -> None:
    assert packaged() == ("claude", "codex", "gemini", "opencode", "pi", "qwen")
    assert shipped_lock("reader") == ""


@EVERY
def test_every_package_that_may_be_installed_has_its_hash(name: str) -> None:
    machines = manifest_of(name)["agenthost"]["architectures"]
    fits = [
        path
        for path, package in lock_of(name).items()
        if path and "linux" in package.get("os", ["linux"]) and set(machines) & set(package.get("cpu", machines))
        if "glibc" in package.get("libc", ["glibc"])
    ]

    assert len(fits) >= 3
    assert [path for path in fits if not lock_of(name)[path].get("integrity", "").startswith("sha512-")] == []


@EVERY
def test_no_address_is_committed(name: str) -> None:
    assert all("resolved" not in package for package in lock_of(name).values())
    assert "://" not in (SHIPPED / name / "package-lock.json").read_text()


@EVERY
def test_the_spec_names_the_release_that_the_lock_pins(name: str) -> None:
    manifest, spec = manifest_of(name), spec_of(name)
    (package,) = manifest["dependencies"]

    assert spec.version == manifest["dependencies"][package] == lock_of(name)[f"node_modules/{package}"]["version"]
    assert spec.install == "{prefix}"
    assert spec.model
    assert spec.enforcement


@EVERY
def test_the_program_of_the_spec_is_a_link_that_the_installation_makes(name: str) -> None:
    assert spec_of(name).argv[0].removeprefix("/opt/agent/") in manifest_of(name)["agenthost"]["links"]
