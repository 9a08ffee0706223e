"""Two conductors of one PostgreSQL that speak by TLS: one pool, one id, a certificate for each. Keeps K15 and K3."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agenthost.cli
from tests.kit.services import Service, free_port
from tests.kit.tls_pair import typed
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(120)]


def asked(folder: Path, address: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conductor.cli", "--bundle", str(folder / "ann"), "--address", address, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def services(tmp_path: Path, database: str) -> Iterator[dict[str, Service]]:
    """The conductors `a` and `b`, and the host `alpha`, with their certificates; none is started."""
    made: dict[str, Service] = {}
    addresses = {name: f"127.0.0.1:{free_port()}" for name in ("a", "b", "alpha")}
    typed(["certs", "init", "--data", str(tmp_path / "a"), "--address", addresses["a"]])
    bundle = str(tmp_path / "b.conductor")
    typed(
        [
            "certs",
            "conductor",
            "b",
            "--standby",
            "--address",
            addresses["b"],
            "--data",
            str(tmp_path / "a"),
            "--out",
            bundle,
        ]
    )
    typed(["certs", "join", bundle, "--data", str(tmp_path / "b")])
    bundle = str(tmp_path / "alpha.agenthost")
    typed(["certs", "host", "alpha", "--address", addresses["alpha"], "--data", str(tmp_path / "a"), "--out", bundle])
    assert agenthost.cli.main(["join", bundle, "--data", str(tmp_path / "alpha")]) == 0
    typed(["certs", "client", "ann", "--role", "admin", "--data", str(tmp_path / "a"), "--out", str(tmp_path / "ann")])
    host = [
        "agenthost.cli",
        "serve",
        "--data",
        str(tmp_path / "alpha"),
        "--listen",
        addresses["alpha"],
        "--name",
        "alpha",
    ]
    made["alpha"] = Service(host, tmp_path / "alpha.log")
    for name in ("a", "b"):
        serve = ["conductor.cli", "serve", "--data", str(tmp_path / name), "--listen", addresses[name]]
        serve += ["--store", database, "--host", f"alpha={addresses['alpha']}"]
        made[name] = Service(serve, tmp_path / f"{name}.log", {"ADDRESS": addresses[name]})
    yield made
    for service in made.values():
        if service.process is not None:
            service.stop()


def test_a_client_finds_the_active_conductor_by_its_certificate(services: dict[str, Service], tmp_path: Path) -> None:
    a, b = services["a"], services["b"]
    both = ",".join(one.environment["ADDRESS"] for one in (b, a))
    for name in ("alpha", "a"):
        services[name].start()
    wait_until(lambda: "alpha" in asked(tmp_path, a.environment["ADDRESS"], "hosts").stdout)
    b.start()
    wait_until(lambda: ": standby, " in asked(tmp_path, b.environment["ADDRESS"], "doctor").stdout)

    done = asked(tmp_path, both, "handover")
    assert (done.returncode, done.stdout.startswith(f"✔ {b.environment['ADDRESS']} is the active")) == (0, True), done
    hosts = asked(tmp_path, both, "hosts").stdout
    assert "✔ alpha" in hosts or "alpha" in hosts
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "a.txt").write_text("one\n")
    a.kill()
    done = asked(tmp_path, both, "run", "survey", str(workspace))
    assert done.returncode == 0, done
