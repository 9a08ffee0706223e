"""Fetches a repository by its URL, and pins a commit of it as that of any repository.

A fetch has a place among few, a limit of bytes and of seconds, and a folder of its own. It may last a minute, and a second more for
so many bytes that it brings: a server that says a little now and then ends it all the same. Nothing of the folder outlives it.
"""

import asyncio
import contextlib
import secrets
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

import structlog

from conductor.errors import (
    FetchError,
    FetchNotAllowedError,
    InvalidRequestError,
    NoCapacityError,
    SnapshotInvalidError,
    Violation,
)
from conductor.snapshots.fetched.addresses import Resolve, choose_addresses, resolve_name
from conductor.snapshots.fetched.packet_lines import ProtocolError
from conductor.snapshots.fetched.pinned_connection import Connections, Reach, ServerError, TooLargeError, make_context
from conductor.snapshots.fetched.remote import Remote
from conductor.snapshots.fetched.wanted import Commits, find_commits
from conductor.snapshots.git import DiskFullError, Git
from conductor.snapshots.pushed.limits import FREE_BYTES
from conductor.snapshots.pushed.quarantine import quarantined
from conductor.snapshots.scopes.scope import BASE, Scope
from conductor.snapshots.store import Pinned, SnapshotStore
from servicekit.errors import shown
from servicekit.fetching.settings import FetchSettings
from servicekit.fetching.urls import RepositoryUrl, UrlError, parse_url
from servicekit.threads import in_thread

if TYPE_CHECKING:
    import ssl

URL = "workspace.url"
# Of a diff: its base lies among so many commits, of the branch and of the base's branch.
DIFF_DEPTH = 1000
MAX_PLACE_WAIT_SECONDS = 25.0
WAIT_SECONDS = 60.0
LEAST_BYTES_PER_SECOND = 16 * 1024
WATCH_SECONDS = 0.25
MAX_KNOWN = 16
RESOLVE_SECONDS = 15.0
_Result = TypeVar("_Result")
_log = structlog.get_logger(__name__)


class Fetching:
    """Fetches for one conductor. `open` makes it. `resolve` is how names become addresses."""

    def __init__(self, folder: Path, snapshots: SnapshotStore, settings: FetchSettings, resolve: Resolve) -> None:
        self._folder = folder.absolute()
        self._snapshots = snapshots
        self._settings = settings
        self._resolve = resolve
        self._places = asyncio.Semaphore(settings.at_once)
        # Twice as many: a name that is resolved slowly keeps its thread.
        self._threads = ThreadPoolExecutor(2 * settings.at_once, "fetch")
        self._context: ssl.SSLContext | None = None
        self._known = OrderedDict[tuple[str, Commits, Scope], Pinned]()

    @classmethod
    async def open(
        cls, folder: Path, snapshots: SnapshotStore, settings: FetchSettings, resolve: Resolve = resolve_name
    ) -> "Fetching":
        """Opens it over a folder, and removes what a killed conductor left there.

        Raises ConfigurationError where the file of certificates holds none.
        """
        await in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))
        opened = cls(folder, snapshots, settings, resolve)
        if settings.ca is not None:
            opened._context = await in_thread(make_context, settings.ca)
        return opened

    def read_url(self, text: str) -> RepositoryUrl:
        """Returns the URL of a request; raises the reason why nothing is fetched from there."""
        try:
            url = parse_url(text)
        except UrlError as error:
            # Not with what may be a password in it.
            told = "" if "@" in text else f": {shown(text)}"
            raise InvalidRequestError(Violation(URL, f"{error}{told}")) from error
        if not (hosts := self._settings.hosts).allows(url):
            allowed = f"allowed are {hosts}" if hosts.entries else "no host is allowed"
            raise FetchNotAllowedError(str(url), f"nothing is fetched from {url.place}: {allowed}", str(url.place))
        return url

    async def pin(
        self, url: RepositoryUrl, revision: str, scope: Scope, begin: Callable[[], None] = lambda: None
    ) -> Pinned:
        """Pins the commit that a revision of a repository means now, and what it is compared with. Calls `begin` before it asks."""
        async with self._place():
            begin()
            began = monotonic()
            with _told(url):
                connections = Connections(url, await self._reach(url), self._settings.max_bytes)
                remote = Remote(connections)
                commits = await self._work(connections, began, lambda: find_commits(remote, revision, scope))
            if known := await self._still_known(url, commits, scope):
                return known
            async with self._own_folder() as folder:
                pack, depth = folder / "fetched.pack", DIFF_DEPTH if commits.base else 1
                wanted = sorted({commits.head, commits.base or commits.head})
                with _told(url):
                    shallow = await self._work(connections, began, lambda: remote.fetch(wanted, depth, pack))
                pinned = await self._pin(url, pack, shallow, commits, scope)
        self._remember(url, commits, scope, pinned)
        _log.info(
            "repository_fetched",
            host=url.place.host,
            bytes=connections.received_bytes,
            seconds=round(monotonic() - began, 3),
        )
        return pinned

    async def _reach(self, url: RepositoryUrl) -> Reach:
        """Returns how to reach a URL's server. Its name is resolved once, here."""
        host, settings = url.place.host, self._settings
        if self._context is None:
            self._context = await in_thread(make_context, settings.ca)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await loop.run_in_executor(self._threads, self._resolve, host, url.port)
        except TimeoutError as error:
            raise ServerError(f"has a name that is not resolved within {RESOLVE_SECONDS:g} s") from error
        return Reach(choose_addresses(url, settings.hosts, found), self._context, settings.tokens.get(host, ""))

    async def _pin(
        self, url: RepositoryUrl, pack: Path, shallow: frozenset[str], commits: Commits, scope: Scope
    ) -> Pinned:
        beside = [commits.base] if commits.base else []
        try:
            async with quarantined(pack, commits.head, shallow, pack.parent, beside=beside) as proven:
                await in_thread(pack.unlink)
                if commits.base:
                    scope = replace(scope, base_revision=await _merge_base(proven.folder, commits, scope))
                return await self._snapshots.pin_fetched(str(url), proven.folder, commits.head, scope)
        except SnapshotInvalidError as error:
            raise FetchError(str(url), f"what {url} holds at {commits.head[:12]} is refused: {error}") from error

    async def _still_known(self, url: RepositoryUrl, commits: Commits, scope: Scope) -> Pinned | None:
        """Returns what was pinned of the same commits a moment ago, where the store still has it."""
        known = self._known.get((str(url), commits, scope))
        return known if known is not None and await self._snapshots.renew(known.plan) else None

    def _remember(self, url: RepositoryUrl, commits: Commits, scope: Scope, pinned: Pinned) -> None:
        self._known[(str(url), commits, scope)] = pinned
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    async def _work(self, connections: Connections, began: float, work: Callable[[], _Result]) -> _Result:
        """Does work in a thread, and ends it where the fetch takes too long, the disk fills, or its caller left."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            while not (await asyncio.wait([future], timeout=WATCH_SECONDS))[0]:
                self._require_time(monotonic() - began, connections.received_bytes)
                self._require_room()
            return future.result()
        finally:
            if not future.done():
                connections.abort()
                await asyncio.wait([future])
                future.exception()  # it was read

    def _require_time(self, spent_seconds: float, received_bytes: int) -> None:
        most = self._settings.max_seconds
        if spent_seconds > most:
            raise ServerError(f"takes longer than {most} s", "fetch.max_seconds is the limit, which the operator sets")
        if spent_seconds > WAIT_SECONDS + received_bytes / LEAST_BYTES_PER_SECOND:
            raise ServerError(f"sent {received_bytes} bytes in {spent_seconds:.0f} s, which is too slow")

    def _require_room(self) -> None:
        """Raises DiskFullError before the disk is full: the conductor's database needs some of it."""
        if shutil.disk_usage(self._folder.parent).free < FREE_BYTES:
            raise DiskFullError

    @contextlib.asynccontextmanager
    async def _own_folder(self) -> AsyncIterator[Path]:
        self._require_room()
        folder = self._folder / secrets.token_hex(8)
        await in_thread(lambda: (folder / "objects").mkdir(parents=True))
        try:
            yield folder
        finally:
            await in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        most = self._settings.at_once
        try:
            async with asyncio.timeout(MAX_PLACE_WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError as error:
            text = f"{most} repositories are being fetched, the most at once, for {MAX_PLACE_WAIT_SECONDS:g} s"
            raise NoCapacityError(text, hint="retry with the same request id") from error
        try:
            yield
        finally:
            self._places.release()


async def _merge_base(folder: Path, commits: Commits, scope: Scope) -> str:
    answer = await Git(folder).attempt("merge-base", commits.base, commits.head)
    found = answer.stdout.decode("ascii", "replace").split()
    if answer.returncode or not found:
        text = f"'{scope.base_revision}' shares none of the newest {DIFF_DEPTH} commits with the revision: name a newer base"
        raise InvalidRequestError(Violation(BASE, text))
    return found[0]


@contextlib.contextmanager
def _told(url: RepositoryUrl) -> Iterator[None]:
    """Turns what a server did into the error of the request."""
    try:
        yield
    except ServerError as error:
        raise FetchError(str(url), f"the server of {url} {error}", hint=error.hint) from error
    except ProtocolError as error:
        raise FetchError(str(url), f"the server of {url} {error}") from error
    except TooLargeError as error:
        hint = "name a smaller repository, or the operator raises [fetch] max_bytes"
        raise FetchError(str(url), f"{url} is larger than fetch.max_bytes allows", hint=hint) from error
