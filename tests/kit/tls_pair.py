"""A conductor and hosts that speak by TLS alone, with certificates of a pool's own CA, for tests that look from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc

import agenthost.cli
from conductor.cli.main import main
from servicekit.tls.issuing.bundle import Bundle, read_bundle
from tests.kit.services import Pair, Service, free_port, running


@contextmanager
def running_tls_pair(
    folder: Path, *, hosts: tuple[str, ...] = ("alpha",), extra: tuple[str, ...] = (), host_extra: tuple[str, ...] = ()
) -> Iterator[Pair]:
    """Makes a pool, starts its services, and yields when all hosts are ready. `pair.folder / "admin"` is an admin's bundle."""
    data, address = folder / "conductor", f"127.0.0.1:{free_port()}"
    typed(["certs", "init", "--data", str(data), "--address", address])
    arguments = ["conductor.cli", "serve", "--listen", address, "--data", str(data), *extra]
    services: dict[str, Service] = {}
    for name in hosts:
        listen = f"127.0.0.1:{free_port()}"
        out = str(folder / f"{name}.agenthost")
        typed(["certs", "host", name, "--address", listen, "--data", str(data), "--out", out])
        assert agenthost.cli.main(["join", out, "--data", str(folder / name)]) == 0
        serve = [
            "agenthost.cli",
            "serve",
            "--data",
            str(folder / name),
            "--listen",
            listen,
            "--name",
            name,
            *host_extra,
        ]
        services[name] = Service(serve, folder / f"{name}.log")
        arguments += ["--host", f"{name}={listen}"]
    admin = client_bundle(folder, "admin", "admin")
    conductor = Service(arguments, folder / "conductor.log", {"XDG_CONFIG_HOME": str(folder / "config")})
    with running(Pair(address, conductor, services, folder, credentials_of(admin))) as pair:
        yield pair


def typed(arguments: list[str]) -> None:
    """Runs a command that must succeed."""
    assert main(arguments) == 0, arguments


def client_bundle(folder: Path, name: str, role: str) -> Bundle:
    """Makes the bundle `folder / name` of a client."""
    out = folder / name
    typed(["certs", "client", name, "--role", role, "--data", str(folder / "conductor"), "--out", str(out)])
    return read_bundle(out.read_bytes(), str(out), datetime.now(UTC))


def credentials_of(bundle: Bundle) -> grpc.ChannelCredentials:
    """Returns what gRPC needs to call with a bundle."""
    assert bundle.client is not None
    return grpc.ssl_channel_credentials(bundle.ca, bundle.client.key, bundle.client.certificate)
