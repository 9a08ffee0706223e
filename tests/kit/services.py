"""Real services as real processes, for tests that look from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from conductor.v1 import pool_service_pb2, pool_service_pb2_grpc

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
OPTIONS = [("grpc.max_receive_message_length", 16 * 1024 * 1024)]


@dataclass
class Service:
    """One service process. `stop` asks as Ctrl-C does, so that a host's agents end with it; `kill` does not ask."""

    arguments: list[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.arguments} did not stop: {self.tail()}") from None

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


@dataclass
class Pair:
    """A conductor on a TCP port and its hosts on unix sockets."""

    address: str
    conductor: Service
    hosts: dict[str, Service]
    folder: Path
    credentials: grpc.ChannelCredentials | None = None

    def channel(self) -> grpc.Channel:
        if self.credentials is not None:
            return grpc.secure_channel(self.address, self.credentials, OPTIONS)
        return grpc.insecure_channel(self.address, OPTIONS)

    def channel_of_asyncio(self) -> grpc.aio.Channel:
        if self.credentials is not None:
            return grpc.aio.secure_channel(self.address, self.credentials, OPTIONS)
        return grpc.aio.insecure_channel(self.address, OPTIONS)

    def wait_until_ready(self) -> None:
        """Waits until every host is ready; shows the logs when that does not happen."""
        deadline = time.monotonic() + READY_SECONDS
        with self.channel() as channel:
            pool = pool_service_pb2_grpc.PoolServiceStub(channel)
            while time.monotonic() < deadline:
                assert self.conductor.process is not None
                assert self.conductor.process.poll() is None, self.conductor.tail()
                if self._are_ready(pool):
                    return
                time.sleep(0.05)
        logs = "\n".join(service.tail() for service in (self.conductor, *self.hosts.values()))
        raise AssertionError(f"the hosts did not become ready:\n{logs}")

    @staticmethod
    def _are_ready(pool: pool_service_pb2_grpc.PoolServiceStub) -> bool:
        try:
            hosts = pool.ListHosts(pool_service_pb2.ListHostsRequest(), timeout=2).hosts
        except grpc.RpcError:
            return False
        return all(host.state == pool_service_pb2.Host.STATE_READY for host in hosts)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running_pair(
    folder: Path,
    *,
    hosts: tuple[str, ...] = ("alpha", "beta"),
    extra: tuple[str, ...] = (),
    host_extra: tuple[str, ...] = (),
) -> Iterator[Pair]:
    """Starts a conductor with hosts, yields when all are ready, and stops them all.

    `extra` goes to `conductor serve`, `host_extra` to each `agenthost serve`.
    """
    address = f"127.0.0.1:{free_port()}"
    services: dict[str, Service] = {}
    arguments = ["conductor.cli", "serve", "--listen", address, "--data", str(folder / "conductor"), *extra]
    for name in hosts:
        listen = f"unix:{folder}/{name}.sock"
        serve = ["agenthost.cli", "serve", "--listen", listen, "--data", str(folder / name), "--name", name]
        serve += host_extra
        services[name] = Service(serve, folder / f"{name}.log")
        arguments += ["--host", f"{name}={listen}"]
    conductor = Service(arguments, folder / "conductor.log", {"XDG_CONFIG_HOME": str(folder / "config")})
    with running(Pair(address, conductor, services, folder)) as pair:
        yield pair


@contextmanager
def running(pair: Pair) -> Iterator[Pair]:
    """Starts all services of a pair, yields when the hosts are ready, and stops them all."""
    everything = [*pair.hosts.values(), pair.conductor]
    try:
        for service in everything:
            service.start()
        pair.wait_until_ready()
        yield pair
    finally:
        for service in reversed(everything):
            if service.process is not None:
                service.stop()
