"""The files of certificates: reads them bounded, checks that they fit together, and writes them whole.

Three PEM files make an end of TLS: the certificates of the CAs that it trusts, its own certificate, and its key. `TlsFolder` names
those of a service's data folder. Errors say which file is wrong, and which command mends it.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from servicekit.errors import ConfigurationError

MAX_FILE_BYTES = 256 * 1024
LOCK_SECONDS = 10.0
FOLDER = "tls"  # in a service's data folder
# Inode, time of the last change and size of each file.
State = tuple[tuple[int, int, int], ...]
_FOR_OTHERS = stat.S_IROTH | stat.S_IWOTH


class TlsError(ConfigurationError):
    """A certificate, a key or a bundle cannot be used."""

    reason = "TLS_INVALID"


@dataclass(frozen=True, slots=True)
class Material:
    """The bytes of an end of TLS, in PEM form."""

    ca: bytes
    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Three paths. `remedy` is what to type where a file is missing, unreadable, or does not fit."""

    ca: Path
    certificate: Path
    key: Path
    remedy: str = ""

    @property
    def paths(self) -> tuple[Path, Path, Path]:
        """The three paths."""
        return self.ca, self.certificate, self.key

    @property
    def next_key(self) -> Path:
        """The key while its certificate is being written."""
        return self.key.with_name(f"{self.key.name}.next")

    def _with_next_key(self, material: Material) -> Material:
        """Returns the material of a renewal that was cut before its key had its place."""
        cut = replace(self, key=self.next_key).checked()
        return replace(material, key=cut.key)

    def replace_pair(self, key: bytes, certificate: bytes) -> None:
        """Replaces the key and its certificate; raises TlsError. They fit together after a kill or on a full disk, too."""
        if self._is_cut():
            self._put_next_key()
        write_whole(self.next_key, key)
        write_whole(self.certificate, certificate)
        self._put_next_key()

    def _is_cut(self) -> bool:
        try:
            return self.checked().key != read_bounded(self.key)
        except TlsError:  # there is no pair before the first
            return False

    def _put_next_key(self) -> None:
        try:
            self.next_key.replace(self.key)
            _sync(self.key.parent)
        except OSError as error:
            raise TlsError(f"{self.key} cannot be written: {error.strerror}") from error

    def read(self) -> Material:
        """Reads the files; raises TlsError where one is missing or no file, or where other users can read the key."""
        material = Material(*(read_bounded(path, self.remedy) for path in self.paths))
        refuse_readable(self.key)
        if self.ca.stat().st_mode & stat.S_IWOTH:
            raise TlsError(f"other users can write {self.ca}, and so let anyone in", hint=f"chmod 644 {self.ca}")
        return material

    def checked(self) -> Material:
        """Reads the files and checks that they fit together; raises TlsError. The dates are not looked at."""
        from servicekit.tls import certificates  # noqa: PLC0415 (settings name files where nothing reads them)

        material = self.read()
        path = self.ca
        try:
            authorities = certificates.read_certificates(material.ca)
            path = self.certificate
            own = certificates.read_certificates(material.certificate)[0]
            path = self.key
            key = certificates.read_key(material.key)
        except certificates.UnreadableError as error:
            raise TlsError(f"{path} cannot be used: {error}", hint=self.remedy) from error
        if not certificates.belong_together(own, key):
            if self.next_key.exists():
                return self._with_next_key(material)
            raise TlsError(f"{self.key} is not the key of the certificate in {self.certificate}", hint=self.remedy)
        if not any(certificates.facts_of(each).is_authority for each in authorities):
            raise TlsError(f"{self.ca} holds no certificate of a CA", hint=self.remedy)
        return material


@dataclass(frozen=True, slots=True)
class TlsFolder:
    """The certificates in a service's data folder, by name."""

    path: Path

    @classmethod
    def of(cls, data: Path) -> "TlsFolder":
        """Returns that of a data folder."""
        return cls(data / FOLDER)

    @property
    def ca(self) -> Path:
        """The trusted CAs: two during a rotation."""
        return self.path / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """The key of the pool's CA; only where certificates are issued, and in no backup."""
        return self.path / "ca-key.pem"

    @property
    def issued(self) -> Path:
        """The record of what was issued."""
        return self.path / "issued.json"

    @property
    def revoked(self) -> Path:
        """The list of revoked certificates."""
        return self.path / "crl.pem"

    @property
    def pool(self) -> Path:
        """A host's place in its pool: pool, name, listen address."""
        return self.path / "pool.json"

    def serving(self, remedy: str = "") -> TlsFiles:
        """Returns the files that the service serves with."""
        return TlsFiles(self.ca, self.path / "server.pem", self.path / "server-key.pem", remedy)

    def calling(self, remedy: str = "") -> TlsFiles:
        """Returns the files that a conductor dials hosts with."""
        return TlsFiles(self.ca, self.path / "client.pem", self.path / "client-key.pem", remedy)

    def prepare(self) -> None:
        """Makes the folder, for its user alone."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise TlsError(f"{self.path} cannot be made: {error.strerror}", hint="give another --data DIR") from error


def read_bounded(path: Path, remedy: str = "", limit: int = MAX_FILE_BYTES) -> bytes:
    """Reads a small regular file; raises TlsError for anything else. A pipe or a device is never waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise TlsError(f"{path} is not a file", hint=remedy)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise TlsError(f"{path} cannot be read: {error.strerror}", hint=remedy) from error
    if len(data) > limit:
        raise TlsError(f"{path} has more than {limit // 1024} KiB, so it is not what it should be", hint=remedy)
    return data


def state_of(*paths: Path) -> State:
    """Returns a value that changes with any of these files; a missing one counts as zeros."""
    found = []
    for path in paths:
        try:
            state = os.stat(path)  # noqa: PTH116 (it is called for each RPC)
            found.append((state.st_ino, state.st_mtime_ns, state.st_size))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)


def refuse_readable(key: Path) -> None:
    """Raises TlsError where other users can read or write a key."""
    if key.stat().st_mode & _FOR_OTHERS:
        raise TlsError(f"other users can read the key {key}", hint=f"chmod 600 {key}")


def write_whole(path: Path, data: bytes) -> None:
    """Replaces a file, for its user alone, so that a reader or a power cut sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TlsError(
            f"{path} cannot be written: {error.strerror}", hint="free the disk, or give another folder"
        ) from error


def refuse_there(path: Path) -> None:
    """Raises TlsError where a file is there already."""
    if os.path.lexists(path):
        raise TlsError(f"{path} is there already; nothing was written", hint="move it away, or give another --out FILE")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time change a folder with certificates."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TlsError(
            f"{folder} cannot be written: {error.strerror}", hint="run this as the service's user"
        ) from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    due = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > due:
                raise TlsError(f"another command works in {folder}", hint="try again when it has ended") from error
            time.sleep(0.05)
        else:
            return


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
