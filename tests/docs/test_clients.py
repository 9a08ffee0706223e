"""The clients of docs/clients.md, as they stand, over TLS: by certificate and by token. Keeps K3 and K12 for other languages."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.pages import page
from tests.kit.services import Pair, free_port
from tests.kit.tls_pair import client_bundle, running_tls_pair

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "clients"
BUILD_SECONDS = 300
CLIENTS = page("clients")

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(2 * BUILD_SECONDS)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_tls_pair(tmp_path_factory.mktemp("tls")) as running:
        client_bundle(running.folder, "ann", "operator")
        yield running


@pytest.fixture(scope="module")
def token(pair: Pair) -> str:
    shared = ["--address", pair.address, "--bundle", str(pair.folder / "admin")]
    command = [sys.executable, "-m", "conductor.cli", *shared, "tokens", "create", "ann", "--role", "operator"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return next(word for word in done.stdout.split() if word.startswith("cdr_"))


Call = Callable[..., str]


@pytest.fixture
def call(pair: Pair, tmp_path: Path) -> Call:
    """Runs a line of the page in a folder that has the page's files, the bundle and the CA; returns what it prints."""
    for name, text in CLIENTS.files("client").items():
        (tmp_path / name).write_text(text)
    shutil.copy(pair.folder / "ann", tmp_path / "ann.client")
    shutil.copy(pair.folder / "conductor" / "tls" / "ca.pem", tmp_path)
    shutil.copytree(ROOT / "protos", tmp_path / "protos")

    def run(line: str, seconds: int = 60, **more: str) -> str:
        path = os.pathsep.join(
            [str(CACHE / "bin"), str(ROOT / ".cache" / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        )
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "CONDUCTOR_ADDRESS": pair.address, **more}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    return run


def needed(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} on this machine, so this client is not run")


def by_both(call: Call, line: str, token: str) -> list[str]:
    """Returns what a line prints with the bundle, and with a token and the CA in its place."""
    return [call(line, 120).strip(), call(line.replace("ann.client", "ca.pem"), 120, CONDUCTOR_TOKEN=token).strip()]


def test_grpcurl_calls_by_certificate_and_by_token(call: Call, token: str) -> None:
    if not (ROOT / ".cache" / "bin" / "grpcurl").exists():
        needed("go")
        call(
            f"GOBIN={ROOT / '.cache' / 'bin'} go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3",
            BUILD_SECONDS,
        )
    hosts, runs = CLIENTS.block("sh grpcurl").splitlines()

    assert '"STATE_READY"' in call(hosts)
    assert call(runs, CONDUCTOR_TOKEN=token).strip() == "{}"


def test_a_client_in_python_calls_by_certificate_and_by_token(call: Call, token: str) -> None:
    assert by_both(call, CLIENTS.block("sh python"), token) == ["hosts/alpha STATE_READY"] * 2


def test_a_client_in_typescript_calls_by_certificate_and_by_token(call: Call, token: str) -> None:
    needed("npm")
    packages = CACHE / "typescript"
    if not (packages / "node_modules" / ".bin" / "tsx").exists():
        packages.mkdir(parents=True, exist_ok=True)
        call(
            f"cd {packages} && npm install --no-audit --no-fund @grpc/grpc-js@1 @grpc/proto-loader@0 tsx@4",
            BUILD_SECONDS,
        )
    call(f"ln -s {packages}/node_modules node_modules")

    assert by_both(call, CLIENTS.block("sh typescript"), token) == ["hosts/alpha STATE_READY"] * 2


def test_a_client_in_go_calls_by_certificate_and_by_token(call: Call, token: str) -> None:
    needed("go")
    call(CLIENTS.block("sh go-setup"), BUILD_SECONDS, GOBIN=str(CACHE / "bin"))

    assert by_both(call, CLIENTS.block("sh go"), token) == ["hosts/alpha STATE_READY"] * 2


def test_a_ready_proxy_serves_json(call: Call, token: str, pair: Pair, tmp_path: Path) -> None:
    needed("go")
    needed("curl")
    for name, text in CLIENTS.files("proxy").items():
        (tmp_path / name).write_text(text)
    built, get, start = CLIENTS.block("sh proxy").splitlines()
    address = f"127.0.0.1:{free_port()}"
    call(f"{built}\n{get}\ngo build -o proxy .", BUILD_SECONDS)
    assert start == "PROXY_ADDRESS=127.0.0.1:8080 go run ."
    environment = {**os.environ, "CONDUCTOR_ADDRESS": pair.address, "PROXY_ADDRESS": address}
    with subprocess.Popen([tmp_path / "proxy"], cwd=tmp_path, env=environment) as proxy:
        try:
            line = (
                CLIENTS.block("sh json")
                .replace("127.0.0.1:8080", address)
                .replace("curl -s", "curl -s --retry 20 --retry-connrefused --retry-delay 1")
            )
            told = json.loads(call(line, CONDUCTOR_TOKEN=token))
            refused = json.loads(call(line, CONDUCTOR_TOKEN="cdr_wrong"))
        finally:
            proxy.kill()

    assert [(host["name"], host["state"]) for host in told["hosts"]] == [("hosts/alpha", "STATE_READY")]
    assert refused["code"] == "unauthenticated"
