"""A server of git repositories over https, on loopback: git's own CGI program behind Python's server, or a hostile one."""

import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "git.example.org"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _serve(self, body: bytes) -> None:
        self.close_connection = True
        server = self.server.git
        server.asked.append((self.command, self.path))
        server.authorizations.append(self.headers.get("Authorization", ""))
        if server.hostile is not None and server.hostile(self, body):
            return
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": "/nonexistent",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        self._relay(body, environment)

    def _relay(self, body: bytes, environment: dict[str, str]) -> None:
        """Sends what git says piece by piece, as web servers do."""
        with subprocess.Popen(["git", "http-backend"], env=environment, stdin=-1, stdout=-1, stderr=-3) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(body)
            program.stdin.close()
            lines = iter(lambda: program.stdout.readline().decode().strip(), "")  # type: ignore[union-attr]
            headers = dict(line.split(": ", 1) for line in lines)
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
                self.send_header(name, value)
            self.end_headers()
            while piece := program.stdout.read1(65536):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    git: "GitServer"
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Says nothing: clients of a hostile server leave."""


# Answers a request in the server's place where it returns true.
Hostile = Callable[[Handler, bytes], bool]
ANSWER = "application/x-git-upload-pack-result"
ADVERTISEMENT = "application/x-git-upload-pack-advertisement"


def says(handler: Handler, content: bytes, kind: str = ANSWER, status: int = 200, **headers: str) -> bool:
    """Answers without a length, so that the answer's end is that of the connection."""
    handler.send_response(status)
    for name, value in {"Content-Type": kind, **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)
    return True


def line(data: bytes) -> bytes:
    """Returns a line of git's protocol."""
    return b"%04x%b" % (len(data) + 4, data)


def banded(pack: bytes) -> bytes:
    """Returns a whole answer with a pack."""
    pieces = (pack[at : at + 60_000] for at in range(0, len(pack), 60_000))
    return line(b"packfile\n") + b"".join(line(b"\x01" + piece) for piece in pieces) + b"0000"


def only(command: bytes, answer: Callable[[Handler], bool]) -> Hostile:
    """Answers one command of the protocol: `ls-refs`, `fetch`, or the empty one that asks what there is."""
    return lambda handler, body: command in body[:30] and bool(body) == bool(command) and answer(handler)


@dataclass
class GitServer:
    """A server at work. `hostile` answers in its place where it returns true. `asked` is what it was asked."""

    folder: Path
    port: int
    ca: Path
    hostile: Hostile | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    def url(self, path: str = "app.git", host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}/{path}"


@contextmanager
def git_server(folder: Path, place: Path) -> Iterator[GitServer]:
    """Serves the repositories of a folder; `place` takes the certificate, which is its own authority."""
    certificate, key = _certificate(place, (NAME, "127.0.0.1"))
    with _Server(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.git = GitServer(folder, server.server_address[1], certificate)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.git
        finally:
            server.shutdown()
            thread.join()


def _certificate(place: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    alternatives = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = place / "git-server.pem", place / "git-server-key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
