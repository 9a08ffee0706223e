"""A machine that holds the CA of a pool, for tests of `conductor certs`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from conductor.cli.main import main
from servicekit.tls.files import TlsFolder
from servicekit.tls.issuing.bundle import Bundle, read_bundle
from servicekit.tls.revocations import RevocationFile

START = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Machine:
    """A machine with a conductor's data folder, at a time that a test sets."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.data = folder / "c"
        self.now = START
        self._capsys = capsys

    @property
    def tls(self) -> TlsFolder:
        return TlsFolder.of(self.data)

    def certs(self, *arguments: str, code: int = 0) -> str:
        """Calls a command; returns what it printed."""
        data = () if "--data" in arguments else ("--data", str(self.data))
        assert main(["certs", *arguments, *data]) == code
        return "".join(self._capsys.readouterr())

    def host(self, name: str, *extra: str) -> str:
        return self.certs(
            "host", name, "--address", "192.168.1.5", "--out", str(self.folder / f"{name}.agenthost"), *extra
        )

    def client(self, name: str, role: str = "operator", file: str = "") -> str:
        return self.certs("client", name, "--role", role, "--out", str(self.folder / (file or f"{name}.client")))

    def bundle(self, file: str) -> Bundle:
        return read_bundle((self.folder / file).read_bytes(), file, self.now)

    def serials(self) -> frozenset[int]:
        """Returns what is revoked."""
        return RevocationFile.of(self.tls).read().serials
