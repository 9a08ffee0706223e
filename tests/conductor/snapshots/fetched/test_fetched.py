"""Repositories are fetched by URL from a real server over https."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from conductor.errors import ConfigurationError, FetchNotAllowedError, InvalidRequestError, NoCapacityError
from conductor.snapshots import WorkspaceMode
from conductor.snapshots.fetched import fetching
from conductor.snapshots.git import DiskFullError
from conductor.snapshots.scopes.scope import Scope, ScopeKind
from conductor.snapshots.store import WHOLE
from servicekit.fetching.allowed_hosts import parse_allowed
from servicekit.threads import in_thread
from tests.conductor.snapshots.fetched.fetcher import Fetcher
from tests.conductor.snapshots.fetched.hostile_answers import dripping, refs
from tests.kit.git_server import NAME, GitServer, Handler, only, says
from tests.kit.repositories import UserRepository, git

pytestmark = pytest.mark.processes


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
