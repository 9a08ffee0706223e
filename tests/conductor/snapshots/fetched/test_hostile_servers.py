"""A hostile server of git is told of, and what it sends is proven."""

from pathlib import Path

import pytest

from conductor.errors import FetchError
from conductor.snapshots.fetched import fetching, remote
from tests.conductor.snapshots.fetched.fetcher import Fetcher
from tests.conductor.snapshots.fetched.hostile_answers import HOSTILE, OID
from tests.kit.git_server import GitServer, banded, only, says
from tests.kit.packs import BLOB as BLOB_KIND
from tests.kit.packs import BY_ID, copied, crafted, oid_of, written, written_pack

pytestmark = pytest.mark.processes


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


async def test_a_server_that_sends_too_little_in_its_time_is_given_up(
    server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "WAIT_SECONDS", 0.5)
    server.hostile, revision, _ = HOSTILE["drip"]
    fetcher = await Fetcher.make(tmp_path, server)

    assert "which is too slow" in str(await fetcher.refused(server.url(), revision))


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
