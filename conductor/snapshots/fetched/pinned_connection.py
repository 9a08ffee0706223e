"""HTTPS to one address that was checked before. No name is looked up here, no redirect is followed, no proxy is asked. Blocking."""

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from conductor.errors import ConfigurationError
from conductor.snapshots.fetched.packet_lines import ProtocolError, readable
from servicekit.fetching.urls import RepositoryUrl

if TYPE_CHECKING:
    from http.client import HTTPResponse

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
# Of OpenSSL: a certificate that signs itself, or whose issuer is unknown.
_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})


class ServerError(Exception):
    """The server cannot be asked, or did not answer as asked. The message says how; `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def make_context(ca: Path | None) -> ssl.SSLContext:
    """Returns how certificates are checked: by the system's authorities, and by those in a file.

    Raises ConfigurationError where the file holds none.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if ca is not None:
            context.load_verify_locations(cafile=ca)
    except OSError as error:
        raise ConfigurationError(f"fetch.ca: {ca} holds no certificates in PEM form: {error.strerror}") from error
    return context


class TooLargeError(Exception):
    """The server sent more bytes than a fetch may bring."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How a server is reached: the addresses that may be connected to, whose certificates count, and what it is told of us."""

    addresses: tuple[str, ...]
    context: ssl.SSLContext
    authorization: str = field(default="", repr=False)


class Connections:
    """Connections for one fetch, one for each request. `abort` ends the one at work, from another thread."""

    def __init__(self, url: RepositoryUrl, reach: Reach, max_bytes: int) -> None:
        self._url = url
        self._addresses = reach.addresses
        self._context = reach.context
        self._headers = {"Authorization": reach.authorization} if reach.authorization else {}
        self._max_bytes = max_bytes
        self._socket: socket.socket | None = None
        self._aborted = False
        self.received_bytes = 0

    def abort(self) -> None:
        """Ends the request at work, and lets no other begin."""
        self._aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not that of TLS, which another thread is reading by.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def count(self, size: int) -> None:
        """Counts bytes that came; raises TooLargeError where they are too many."""
        self.received_bytes += size
        if self.received_bytes > self._max_bytes:
            raise TooLargeError

    @contextlib.contextmanager
    def asking(self, path: str, kind: str, body: bytes | None = None, **headers: str) -> Iterator["Answer"]:
        """Asks, and yields the answer of a media type; raises ServerError for any other."""
        import http.client  # noqa: PLC0415 (with what it imports, of no use where nothing is fetched)

        host, port = self._url.place.host, self._url.port
        connection = http.client.HTTPConnection(host, port)
        connection.auto_open = 0  # a connection of its own would look the name up again
        try:
            with _explained(), self._connected() as connection.sock:
                sent = {
                    "Git-Protocol": "version=2",
                    "User-Agent": "git/conductor",
                    "Connection": "close",
                    **self._headers,
                }
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                connection.request("GET" if body is None else "POST", self._url.path + path, body, {**sent, **named})
                with connection.getresponse() as answer:
                    _require(answer, kind)
                    yield Answer(answer, self)
        finally:
            connection.close()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[ssl.SSLSocket]:
        plain, host = self._dial(), self._url.place.host
        plain.settimeout(SILENCE_SECONDS)
        with self._context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False) as secured:
            self._socket = secured
            try:
                self._require_wanted()
                secured.do_handshake()
                yield secured
            finally:
                self._socket = None

    def _dial(self) -> socket.socket:
        failure: OSError | None = None
        for address in self._addresses:
            self._require_wanted()
            try:
                return socket.create_connection((address, self._url.port), CONNECT_SECONDS)
            except OSError as error:
                failure = error
        raise ServerError(f"cannot be connected to at {', '.join(self._addresses)}: {_reason(failure)}")

    def _require_wanted(self) -> None:
        if self._aborted:
            raise ServerError("is not asked any more: the fetch was ended")


class Answer:
    """The body of an answer; counts what is read."""

    def __init__(self, response: "HTTPResponse", connections: Connections) -> None:
        self._response = response
        self._connections = connections

    def read(self, size: int) -> bytes:
        """Returns the next bytes; fewer than asked at its end only."""
        data = self._response.read(size)
        self._connections.count(len(data))
        return data


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    from http.client import HTTPException  # noqa: PLC0415 (as above)

    try:
        yield
    except ssl.SSLCertVerificationError as error:
        is_unknown = error.verify_code in _UNKNOWN_ISSUER
        hint = "a private authority's certificate is trusted by:  [fetch] ca = FILE" if is_unknown else ""
        raise ServerError(f"has a certificate that is not trusted: {error.verify_message}", hint) from error
    except TimeoutError as error:
        raise ServerError(f"was silent for {SILENCE_SECONDS:g} s") from error
    except ssl.SSLError as error:
        raise ServerError(f"does not speak TLS 1.2 or later: {error.reason or error}") from error
    except OSError as error:
        raise ServerError(f"broke the connection: {_reason(error)}") from error
    except HTTPException as error:
        raise ServerError(f"does not speak HTTP: {type(error).__name__}") from error


def _reason(error: OSError | None) -> str:
    return (error.strerror or str(error) or type(error).__name__) if error is not None else "it has no address"


_STATUSES: Mapping[int, tuple[str, str]] = {
    401: ("asks who we are (401)", 'the operator gives a token:  [fetch.tokens] "HOST" = "env:NAME"'),
    403: ("forbids reading the repository (403)", "the operator gives a token that may:  [fetch.tokens]"),
    404: (
        "has no such repository, or hides it (404)",
        "look at the path; for a private one the operator gives a token:  [fetch.tokens]",
    ),
}


def _require(answer: "HTTPResponse", kind: str) -> None:
    """Raises ServerError for an answer that is not what was asked for."""
    if 300 <= answer.status < 400:
        to = readable((answer.getheader("Location") or "").partition("?")[0].encode(errors="replace"))
        told = f" to {to}" if to and "@" not in to else ""
        raise ServerError(f"redirects{told} ({answer.status}), which is not followed", "name the place where it is now")
    if answer.status != 200:
        raise ServerError(*_STATUSES.get(answer.status, (f"answers with the status {answer.status}", "")))
    given = (answer.getheader("Content-Type") or "").partition(";")[0].strip().lower()
    if given != kind:
        raise ServerError(
            f"answers with {readable(given.encode(errors='replace')) or 'no type'}, not as a git server does"
        )
    if (answer.getheader("Content-Encoding") or "identity").lower() != "identity":
        raise ProtocolError("compressed its answer, which was not asked for")
