"""Repositories are fetched by URL from a real server over https, which may be hostile."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conductor.errors import (
    ConfigurationError,
    FetchError,
    FetchNotAllowedError,
    InvalidRequestError,
    NoCapacityError,
    StatusError,
)
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.fetched import fetching, remote
from conductor.snapshots.fetched.addresses import Resolve
from conductor.snapshots.fetched.fetching import Fetching
from conductor.snapshots.git import DiskFullError
from conductor.snapshots.scopes.scope import Scope, ScopeKind
from conductor.snapshots.store import WHOLE, Pinned
from servicekit.fetching.allowed_hosts import parse_allowed
from servicekit.fetching.settings import FetchSettings
from servicekit.threads import in_thread
from tests.conductor.snapshots.pinned import OBJECTS
from tests.kit.git_server import ADVERTISEMENT, NAME, GitServer, Handler, Hostile, banded, git_server, line, only, says
from tests.kit.packs import BLOB as BLOB_KIND
from tests.kit.packs import BY_ID, copied, crafted, oid_of, written, written_pack
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> UserRepository:
    user = UserRepository.make(tmp_path_factory.mktemp("user") / "project")
    user.git("tag", "-a", "v1", "-m", "one")
    user.git("branch", "release")
    user.write("src/app.py", "print('second')\n")
    user.commit("second")
    return user


@pytest.fixture(scope="module")
def served(user: UserRepository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    place = tmp_path_factory.mktemp("served")
    (place / "repositories").mkdir()
    git(place, "clone", "-q", "--bare", str(user.folder), "repositories/app.git")
    with git_server(place / "repositories", place) as server:
        yield server


@pytest.fixture
def server(served: GitServer) -> Iterator[GitServer]:
    served.hostile = None
    served.asked.clear()
    served.authorizations.clear()
    yield served
    served.hostile = None


class Fetcher:
    """A fetching over a store of its own."""

    def __init__(self, store: SnapshotStore, fetching: Fetching, folder: Path) -> None:
        self.store, self.fetching, self.folder = store, fetching, folder

    @classmethod
    async def make(
        cls, folder: Path, server: GitServer, *, resolve: Resolve = lambda _host, _port: ["127.0.0.1"], **settings: Any
    ) -> "Fetcher":
        store = await SnapshotStore.open(folder / OBJECTS)
        hosts = parse_allowed([NAME, "127.0.0.1"])
        given = FetchSettings(**({"hosts": hosts, "ca": server.ca} | settings))
        return cls(store, await Fetching.open(folder / "fetched", store, given, resolve), folder)

    async def pin(self, url: str, revision: str = "", scope: Scope = WHOLE) -> Pinned:
        return await self.fetching.pin(self.fetching.read_url(url), revision, scope)

    async def refused(self, url: str, revision: str = "", scope: Scope = WHOLE) -> StatusError:
        with pytest.raises(StatusError) as caught:
            await self.pin(url, revision, scope)
        assert not list(self.folder.glob("fetched/*"))
        return caught.value


@pytest.fixture
async def fetcher(tmp_path: Path, server: GitServer) -> Fetcher:
    return await Fetcher.make(tmp_path, server)


async def test_a_fetched_commit_is_the_snapshot_of_a_shallow_clone(
    fetcher: Fetcher, server: GitServer, user: UserRepository, tmp_path: Path
) -> None:
    """Keeps J5."""
    pinned = await fetcher.pin(server.url())
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{server.folder}/app.git", "clone")

    assert pinned.plan.head_commit == user.head
    assert (await fetcher.store.pin(tmp_path / "clone", WorkspaceMode.COMMIT)).commit == pinned.plan.commit
    assert not list(tmp_path.glob("fetched/*"))


async def test_a_branch_a_tag_and_a_commit_are_found(fetcher: Fetcher, server: GitServer, user: UserRepository) -> None:
    first = user.git("rev-parse", "release").strip()
    heads = [
        (await fetcher.pin(server.url(host=NAME), revision)).plan.head_commit for revision in ("release", "v1", first)
    ]

    assert heads == [first] * 3


async def test_a_diff_is_fetched_with_its_base(fetcher: Fetcher, server: GitServer, user: UserRepository) -> None:
    pinned = await fetcher.pin(server.url(), "main", Scope(ScopeKind.DIFF, "release"))

    assert [file.path for file in pinned.plan.changed] == ["src/app.py"]
    assert pinned.plan.base_commit == user.git("rev-parse", "release").strip()


async def test_the_same_commit_is_not_fetched_again(fetcher: Fetcher, server: GitServer) -> None:
    pinned = [await fetcher.pin(server.url()) for _ in range(2)]

    assert pinned[0] == pinned[1]
    assert [method for method, _ in server.asked] == ["GET", "POST", "POST", "GET", "POST"]


def refs(*lines: bytes) -> bytes:
    """Returns a list of names as a server sends it."""
    return b"".join(map(line, lines)) + b"0000"


def endless(handler: Handler) -> bool:
    says(handler, line(b"packfile\n"))
    piece = line(b"\x01" + os.urandom(60_000))
    while True:
        handler.wfile.write(piece)


def dripping(handler: Handler) -> bool:
    says(handler, line(b"packfile\n"))
    while True:
        handler.wfile.write(line(b"\x02."))
        time.sleep(0.05)


def listing(handler: Handler) -> bool:
    says(handler, b"")
    names = b"".join(line(b"%040x refs/heads/main%d\n" % (number, number)) for number in range(1000))
    while True:
        handler.wfile.write(names)


OID = "a" * 40
V2 = line(b"# service=git-upload-pack\n") + b"0000" + line(b"version 2\n")
# Each: what the server does, the revision that is asked for, and what the caller is told.
HOSTILE: dict[str, tuple[Hostile, str, str]] = {
    "redirect": (
        only(b"", lambda h: says(h, b"", status=302, Location="https://127.0.0.1/else?token=1")),
        "",
        "redirects to https://127.0.0.1/else (302), which is not followed",
    ),
    "redirect of the pack": (only(b"fetch", lambda h: says(h, b"", status=307)), "", "redirects (307)"),
    "login": (only(b"", lambda h: says(h, b"", status=401)), "", "asks who we are (401)"),
    "forbidden": (only(b"", lambda h: says(h, b"", status=403)), "", "forbids reading the repository (403)"),
    "none": (only(b"", lambda h: says(h, b"", status=404)), "", "has no such repository, or hides it (404)"),
    "trouble": (only(b"", lambda h: says(h, b"", status=500)), "", "answers with the status 500"),
    "page": (only(b"", lambda h: says(h, b"<p>", "text/html; charset=utf-8")), "", "answers with text/html, not as"),
    "old": (only(b"", lambda h: says(h, refs(b"%a HEAD\n"), ADVERTISEMENT)), "", "does not speak version 2"),
    "sha256": (
        only(b"", lambda h: says(h, V2 + refs(b"fetch=shallow\n", b"object-format=sha256\n"), ADVERTISEMENT)),
        "",
        "SHA-256 names",
    ),
    "no shallow": (
        only(b"", lambda h: says(h, V2 + refs(b"fetch=filter\n"), ADVERTISEMENT)),
        "",
        "a part of the history",
    ),
    "cut list": (only(b"", lambda h: says(h, V2, ADVERTISEMENT)), "", "ended its list too early"),
    "no lengths": (only(b"ls-refs", lambda h: says(h, b"-001abc")), "", "sent a line without its length"),
    "cut line": (only(b"ls-refs", lambda h: says(h, b"00ffabc")), "", "in the middle of a line"),
    "zipped": (only(b"ls-refs", lambda h: says(h, b"x", Content_Encoding="gzip")), "", "compressed its answer"),
    "huge list": (only(b"ls-refs", listing), "", "lists more than 1 MiB of names"),
    "refusal": (only(b"fetch", lambda h: says(h, line(b"ERR go\x1b[31m away\n"))), "", "refused: go?[31m away"),
    "no pack": (only(b"fetch", lambda h: says(h, refs(b"shallow-info\n"))), "", "sent no pack"),
    "bad shallow": (only(b"fetch", lambda h: says(h, line(b"shallow ../x\n"))), "", "shallow commits that is none"),
    "failure": (
        only(b"fetch", lambda h: says(h, line(b"packfile\n") + line(b"\x03out of memory"))),
        "",
        "failed while it sent",
    ),
    "band": (only(b"fetch", lambda h: says(h, line(b"packfile\n") + line(b"\x09x"))), "", "on an unknown band"),
    "cut pack": (only(b"fetch", lambda h: says(h, banded(b"PACK")[:-4])), "", "before the pack was whole"),
    "no git pack": (only(b"fetch", lambda h: says(h, banded(b"PACK\0\0\0\x09"))), "", "the pack is refused"),
    "endless": (only(b"fetch", endless), "", "larger than fetch.max_bytes allows"),
    "drip": (only(b"fetch", dripping), "", "takes longer than 1 s"),
    "unasked": (only(b"fetch", lambda h: says(h, banded(crafted()[1]))), OID, f"does not hold {OID}"),
    "unknown commit": (lambda _handler, _body: False, OID, "refused: upload-pack: not our ref"),
}


@pytest.mark.parametrize("how", HOSTILE)
async def test_a_hostile_server_is_told_of_and_nothing_is_left(
    how: str, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MAX_LISTED_BYTES", 1024 * 1024)
    server.hostile, revision, told = HOSTILE[how]
    fetcher = await Fetcher.make(tmp_path, server, max_bytes=3 * 1024 * 1024, max_seconds=1 if how == "drip" else 60)
    error = await fetcher.refused(server.url(), revision)

    assert isinstance(error, FetchError)
    assert told in str(error)
    assert error.metadata == {"field": "workspace.url", "url": server.url()}
    assert "token=1" not in str(error)


BLOB = b"x"
ENTRY = oid_of("blob", BLOB)
CRAFTED = {
    "git's own folder": (crafted(("100644", b".git", ENTRY), blobs=[BLOB]), "no host takes the snapshot"),
    "git's own folder for Windows": (crafted(("100644", b"GIT~1", ENTRY), blobs=[BLOB]), ""),
    "a place above": (crafted(("100644", b"..", ENTRY), blobs=[BLOB]), "no host takes the snapshot"),
    "an empty link": (crafted(("120000", b"link", oid_of("blob", b"")), blobs=[b""]), "no host takes the snapshot"),
    "a missing file": (crafted(("100644", b"a", ENTRY)), "does not hold the snapshot"),
    "a missing tree": (crafted(("40000", b"a", OID)), "does not hold the snapshot"),
    "a bomb": (
        (OID, written_pack([written(BLOB_KIND, b"", size=5 * 1024**3)])),
        "an object of 5368709120 bytes",
    ),
    "a thin pack": (
        (OID, written_pack([written(BY_ID, copied(1, 1), base=bytes.fromhex(ENTRY))])),
        "base",
    ),
}


@pytest.mark.parametrize("what", CRAFTED)
async def test_what_a_server_sends_is_proven_as_a_push_is(what: str, fetcher: Fetcher, server: GitServer) -> None:
    (commit, pack), told = CRAFTED[what]
    server.hostile = only(b"fetch", lambda handler: says(handler, banded(pack)))
    if not told:
        assert (await fetcher.pin(server.url(), commit)).plan.head_commit == commit
        return
    error = await fetcher.refused(server.url(), commit)

    assert isinstance(error, FetchError)
    assert told in str(error)


async def test_a_name_is_resolved_once_and_only_a_named_address_may_be_private(
    server: GitServer, tmp_path: Path
) -> None:
    asked = []

    def changing(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254", "::ffff:127.0.0.1", "10.1.2.3"]

    fetcher = await Fetcher.make(tmp_path, server, resolve=changing)
    await fetcher.pin(server.url(host=NAME))
    assert asked == [(NAME, server.port)]
    requests = len(server.asked)

    error = await fetcher.refused(server.url(host=NAME))
    assert isinstance(error, FetchNotAllowedError)
    assert "169.254.169.254, a link-local address and ::ffff:7f00:1, an IPv6" in str(error)
    assert error.hint.endswith(f"--allow-fetch {NAME}:{server.port} --allow-fetch 169.254.169.254")
    assert len(server.asked) == requests


async def test_a_certificate_that_is_not_trusted_or_of_another_name_is_refused(
    server: GitServer, tmp_path: Path
) -> None:
    untrusting = await Fetcher.make(tmp_path / "a", server, ca=None)
    error = await untrusting.refused(server.url())
    assert "a certificate that is not trusted: self-signed" in str(error)
    assert "[fetch] ca" in error.hint

    misled = await Fetcher.make(tmp_path / "b", server, hosts=parse_allowed(["other.example.org", "127.0.0.1"]))
    assert "Hostname mismatch" in str(await misled.refused(server.url(host="other.example.org")))


async def test_a_file_without_certificates_is_told_at_the_start(server: GitServer, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    with pytest.raises(ConfigurationError, match="holds no certificates in PEM form"):
        await Fetcher.make(tmp_path, server, ca=tmp_path / "ca.pem")


async def test_a_host_that_is_not_allowed_is_never_asked(server: GitServer, tmp_path: Path) -> None:
    fetcher = await Fetcher.make(tmp_path, server, hosts=parse_allowed([f"127.0.0.1:{server.port + 1}"]))
    error = await fetcher.refused(server.url())

    assert isinstance(error, FetchNotAllowedError)
    assert f"nothing is fetched from 127.0.0.1:{server.port}: allowed are 127.0.0.1:" in str(error)
    assert not server.asked


REVISIONS = {
    "nowhere": "'nowhere' is no branch and no tag",
    "main~1": "without ~, ^",
    "-x": "without ~, ^",
    "twice": "is a branch and a tag with other commits: give refs/heads/twice or refs/tags/twice",
}


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_revision_that_means_no_commit_is_refused(revision: str, fetcher: Fetcher, server: GitServer) -> None:
    server.hostile = only(
        b"ls-refs",
        lambda h: says(h, refs(b"%s refs/heads/twice\n" % (b"b" * 40), b"%s refs/tags/twice\n" % (b"c" * 40))),
    )
    for scope, field in ((WHOLE, "workspace.revision"), (Scope(ScopeKind.DIFF, revision), "workspace.base_revision")):
        error = await fetcher.refused(server.url(), revision if scope is WHOLE else "a" * 40, scope)

        assert isinstance(error, InvalidRequestError)
        assert error.violations[0].field == field
        assert REVISIONS[revision] in str(error)


async def test_a_base_that_shares_no_commit_is_refused(
    fetcher: Fetcher, server: GitServer, user: UserRepository
) -> None:
    git(
        user.folder,
        "push",
        "-q",
        f"{server.folder}/app.git",
        f"{user.git('commit-tree', '-m', 'other', 'HEAD^{tree}').strip()}:refs/heads/other",
    )
    error = await fetcher.refused(server.url(), "main", Scope(ScopeKind.DIFF, "other"))

    assert "workspace.base_revision: 'other' shares none of the newest 1000 commits" in str(error)


async def test_a_token_goes_to_its_host_only(server: GitServer, tmp_path: Path) -> None:
    fetcher = await Fetcher.make(tmp_path, server, tokens={NAME: "Basic c2VjcmV0"})
    await fetcher.pin(server.url(host=NAME))
    await fetcher.pin(server.url())

    assert server.authorizations == ["Basic c2VjcmV0"] * 3 + [""] * 3


async def test_more_fetches_than_places_wait_and_are_told(
    server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_PLACE_WAIT_SECONDS", 0.1)
    entered, goes_on = threading.Event(), threading.Event()

    def waiting(_handler: Handler, _body: bytes) -> bool:
        entered.set()
        goes_on.wait(20)
        return False

    server.hostile = waiting
    fetcher = await Fetcher.make(tmp_path, server, at_once=1)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(fetcher.pin(server.url()))
        await in_thread(entered.wait, 20)
        with pytest.raises(NoCapacityError, match="1 repositories are being fetched"):
            await fetcher.pin(server.url())
        goes_on.set()
    assert first.result().plan.commit


async def test_a_fetch_ends_before_the_disk_is_full(
    fetcher: Fetcher, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def filling(handler: Handler) -> bool:
        monkeypatch.setattr(fetching, "FREE_BYTES", 2**62)
        return dripping(handler)

    server.hostile = only(b"fetch", filling)

    for _ in range(2):  # while it works, and before it begins
        error = await fetcher.refused(server.url())
        assert isinstance(error, DiskFullError)
        assert error.reason == "NO_CAPACITY"


async def test_a_caller_who_leaves_ends_its_fetch_at_once(server: GitServer, tmp_path: Path) -> None:
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def silent(_handler: Handler) -> bool:
        loop.call_soon_threadsafe(entered.set)
        return dripping(_handler)

    server.hostile = only(b"fetch", silent)
    fetcher = await Fetcher.make(tmp_path, server)
    task = asyncio.create_task(fetcher.pin(server.url()))
    await entered.wait()
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task

    assert not list(tmp_path.glob("fetched/*"))


async def test_what_a_killed_conductor_left_goes_at_the_next_start(server: GitServer, tmp_path: Path) -> None:
    left = tmp_path / "fetched" / "0123" / "fetched.pack"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"PACK")
    fetcher = await Fetcher.make(tmp_path, server)

    assert not left.exists()
    assert (await fetcher.pin(server.url())).plan.commit


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a",
        "file:///etc",
        "ext::sh -c id",
        "ssh://git@h/a",
        "git://h/a",
        "https://anna:secret@h/a",
        "/a",
        "",
    ],
)
async def test_no_other_url_is_taken(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        fetcher.fetching.read_url(url)

    assert caught.value.violations[0].field == "workspace.url"
    assert "secret" not in str(caught.value)
