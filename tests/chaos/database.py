"""A PostgreSQL of a world's own, as one of its services: started, killed with all its processes, frozen and asked to end."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from conductor.store.postgresql.sharing.store import SharedPostgresqlStore
from tests.chaos.service import Service
from tests.chaos.small_disk import DiskRefusedError, SmallDisk
from tests.kit.postgresql import SETTINGS, USER, Server, find_programs, prepare

NAME = "chaos"
BURY_SECONDS = 5.0
DISK_BYTES = 512 << 20
NO_ROOM = "No space left on device"
# So that its log takes a known part of the disk.
_LOG = {"min_wal_size": "32MB", "max_wal_size": "96MB"}


# Told by the server, within the transaction of the takeover: was the lease free, one's own, or over? And who writes in an epoch?
_AUDIT = """
CREATE TABLE public.takeovers (epoch BIGINT, time TIMESTAMPTZ, holder TEXT, former TEXT, former_end TIMESTAMPTZ);
CREATE FUNCTION public.note_takeover() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO public.takeovers VALUES (NEW.epoch, clock_timestamp(), NEW.lease_holder, OLD.lease_holder, OLD.lease_end);
  RETURN NULL;
END $$;
CREATE TRIGGER note_takeover AFTER UPDATE ON conductor.meta FOR EACH ROW WHEN (OLD.epoch <> NEW.epoch)
  EXECUTE FUNCTION public.note_takeover();
CREATE TABLE public.writers (epoch BIGINT, backend INTEGER, PRIMARY KEY (epoch, backend));
CREATE FUNCTION public.note_writer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO public.writers VALUES (NEW.epoch, pg_backend_pid()) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER note_writer AFTER UPDATE ON conductor.meta FOR EACH ROW
  WHEN (OLD.epoch = NEW.epoch AND (OLD.decision, OLD.last_id) IS DISTINCT FROM (NEW.decision, NEW.last_id))
  EXECUTE FUNCTION public.note_writer();
"""


@dataclass(frozen=True, slots=True)
class Takeover:
    """A new epoch, at a time of the server's clock, and what it replaced."""

    epoch: int
    time: datetime
    holder: str
    former: str
    former_end: datetime

    @property
    def is_early(self) -> bool:
        """Returns whether another conductor held the lease at that time."""
        return self.former not in ("", self.holder) and self.former_end > self.time


class Database(Service):
    """The server, life after life. Its socket lies in its folder."""

    def __init__(self, name: str, folder: Path, *, with_disk: bool = False) -> None:
        super().__init__(name, (), folder.with_suffix(".log"), {})
        self._folder = folder
        self.disk: SmallDisk | None = None
        self._with_disk = with_disk
        self.without_disk = ""
        self.server = Server(folder)

    def prepare(self) -> None:
        """Makes the data, and the database, and leaves the server running."""
        self._folder.mkdir()
        self._folder.chmod(0o711)
        self._way = prepare(self._folder)
        try:
            self.disk = SmallDisk(self._folder / "data", DISK_BYTES) if self._with_disk else None
        except DiskRefusedError as refused:
            self.without_disk = str(refused)
        self.start()
        while not self.server.is_up():
            assert self.is_alive, self.tail()
        self.server.execute(f"CREATE DATABASE {NAME}")

    async def audit(self) -> None:
        """Makes the schema, and has the server write down every takeover with its own clock."""
        await (await SharedPostgresqlStore.open_shared(self.url)).close()
        self.server.execute(_AUDIT, NAME)

    def takeovers(self) -> list[Takeover]:
        """Returns every takeover, in order."""
        with psycopg.connect(self.url) as connection:
            return [
                Takeover(*row)
                for row in connection.execute(
                    "SELECT epoch, time, holder, former, greatest(former_end, 'epoch') FROM public.takeovers ORDER BY epoch"
                ).fetchall()
            ]

    def shared_epochs(self) -> list[int]:
        """Returns the epochs in which more than one connection wrote: a conductor that was superseded, and the one after it."""
        with psycopg.connect(self.url) as connection:
            query = "SELECT epoch FROM public.writers GROUP BY epoch HAVING count(*) > 1 ORDER BY epoch"
            return [int(epoch) for (epoch,) in connection.execute(query).fetchall()]

    @property
    def socket(self) -> str:
        """Returns the address of its socket."""
        return f"unix:{self._folder}/.s.PGSQL.5432"

    def url_at(self, address: str) -> str:
        """Returns the URL of the database at an address of TCP, such as that of a network in between."""
        host, _, port = address.rpartition(":")
        return f"postgresql://{USER}@{host}:{port}/{NAME}?sslmode=disable&gssencmode=disable"

    @property
    def url(self) -> str:
        """Returns its URL without a network in between."""
        return self.server.url(NAME)

    def start(self, fuse: str = "") -> None:
        if self.process is not None:
            self._note_end(self.process.wait())
        self.is_asked = False
        self._bury()
        programs = find_programs()
        assert programs is not None
        given = SETTINGS | _LOG | {"unix_socket_directories": str(self._folder)}
        settings = [f"-c{name}={value}" for name, value in given.items()]
        entrance = self.disk.entrance if self.disk else ()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*entrance, *self._way, str(programs / "postgres"), "-D", str(self._folder / "data"), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _bury(self) -> None:
        """Waits for the last process of the life before, and forgets its number, which may be another process's by now.

        The number stands in two files, beside the data and beside the socket; PostgreSQL refuses to start for either.
        """
        deadline = time.monotonic() + BURY_SECONDS
        while self._left() and time.monotonic() < deadline:
            for pid in self._left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        for lock in (self.data / "postmaster.pid", self._folder / ".s.PGSQL.5432.lock"):
            lock.unlink(missing_ok=True)

    @property
    def data(self) -> Path:
        """Returns the folder of its data, as this process sees it."""
        return self.disk.place if self.disk else self._folder / "data"

    @property
    def has_given_up(self) -> bool:
        """Returns whether it ended by itself because its disk was full."""
        code = self.process.poll() if self.process is not None else None
        return self.disk is not None and code == 1 and NO_ROOM in self.tail()

    def refusals(self) -> int:
        """Returns how often it had no room."""
        return self.log.read_text(errors="replace").count(NO_ROOM)

    def close(self) -> None:
        """Ends its disk."""
        if self.disk is not None:
            self.disk.close()

    def _left(self) -> list[int]:
        """Returns the processes that work in the folder of the data, as each of a server does."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if (entry / "cwd").readlink() == self._folder / "data":
                    found.append(int(entry.name))
        return found

    def ask(self) -> None:
        """Asks it to end without waiting for its clients, which it then must."""
        self.is_asked = True
        self._tell(signal.SIGINT)

    def signal(self, number: int) -> None:
        self._tell(number)

    def processes(self) -> list[int]:
        """Returns the server and everything that it started."""
        if not self.is_alive:
            return []
        assert self.process is not None
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def _tell(self, number: int) -> None:
        processes = self.processes()
        # A shutdown is the postmaster's business: the one process, or the one below what made it no root.
        asked = processes[:2] if number == signal.SIGINT else processes
        for pid in asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
