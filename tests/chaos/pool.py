"""The certificates of a world that speaks by TLS: a pool of its own, an admin who calls, and who poses as the conductor."""

import contextlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc

import agenthost.cli
from conductor.cli.main import main
from servicekit.tls.files import TlsFolder
from servicekit.tls.identity import Identity, Kind, conductor_server_name
from servicekit.tls.issuing.bundle import read_bundle
from tests.chaos.watchers import SECURED

POOL = "chaos"


@dataclass(frozen=True, slots=True)
class Pool:
    """The CA in the data folder of a world's conductor."""

    data: Path

    @classmethod
    def make(cls, data: Path) -> "Pool":
        """Makes it, and the conductor's database with its id."""
        pool = cls(data)
        pool._type("certs", "init", "--pool", POOL)
        pool._type("certs", "client", "admin", "--role", "admin", "--out", str(pool._admin))
        return pool

    @property
    def _admin(self) -> Path:
        return self.data / "admin.client"

    def join(self, host: str, data: Path) -> None:
        """Lets a host join."""
        out = str(self.data / f"{host}.agenthost")
        self._type("certs", "host", host, "--address", "127.0.0.1", "--out", out)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert agenthost.cli.main(["join", out, "--data", str(data)]) == 0

    def secure_conductor(self, *addresses: str) -> None:
        """Has callers at these addresses call as the admin."""
        bundle = read_bundle(self._admin.read_bytes(), str(self._admin), datetime.now(UTC))
        assert bundle.client is not None
        credentials = grpc.ssl_channel_credentials(bundle.ca, bundle.client.key, bundle.client.certificate)
        SECURED.update(dict.fromkeys(addresses, (credentials, conductor_server_name(POOL))))

    def secure_host(self, host: str, address: str) -> None:
        """Has callers at a host's address call as the conductor does."""
        own = TlsFolder.of(self.data).calling().read()
        credentials = grpc.ssl_channel_credentials(own.ca, own.key, own.certificate)
        SECURED[address] = credentials, Identity(POOL, Kind.HOST, host).server_name

    def _type(self, *arguments: str) -> None:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            assert main([*arguments, "--data", str(self.data)]) == 0, said.getvalue()
