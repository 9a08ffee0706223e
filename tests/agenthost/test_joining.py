"""`agenthost join`: a host becomes a member of one pool, and stays that member. Keeps K3."""

import stat
from pathlib import Path

import pytest

from agenthost.cli import main
from agenthost.config import load_settings
from agenthost.errors import ConfigurationError
from servicekit.tls.files import TlsFolder
from servicekit.tls.issuing.authority import Authority, host_request
from servicekit.tls.issuing.membership import Membership, listen_address, read_membership
from tests.servicekit.tls.pools import ALPHA, ANN, NOW, POOL, bundle_of

BETA = host_request(POOL, "beta")


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenthost.joining.now", lambda: NOW)


def join(folder: Path, data: bytes) -> int:
    file = folder / "bundle"
    file.write_bytes(data)
    return main(["join", str(file), "--data", str(folder / "h")])


def test_a_host_joins_once_and_again_and_takes_a_newer_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, folder = bundle_of(ALPHA), TlsFolder.of(tmp_path / "h")

    assert join(tmp_path, first) == 0
    told = capsys.readouterr()
    before = folder.serving().checked()
    assert join(tmp_path, first) == 0
    assert "was already 'alpha' of the pool 'home'" in capsys.readouterr().out
    assert folder.serving().checked() == before
    assert join(tmp_path, bundle_of(ALPHA)) == 0

    assert folder.serving().checked().certificate != before.certificate
    assert told.out == "this host is 'alpha' of the pool 'home', until 2027-02-28\n"
    assert "agenthost serve --data" in told.err
    assert read_membership(folder) == Membership(POOL, "alpha", "192.168.1.5:7420", ("192.168.1.5:7420",))
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (bundle_of(BETA), "holds the certificate of conductor://home/host/alpha, not of conductor://home/host/beta"),
        (bundle_of(ALPHA, ca=Authority.make(POOL, NOW)), "trusts another CA than this bundle"),
        (bundle_of(ANN), "is no bundle of a host: it is that of the client 'ann'"),
        (bundle_of(ALPHA, addresses=()), "is no bundle of a host: it is without address"),
        (b"hello", "is no usable bundle: its first line is not"),
    ],
)
def test_another_identity_never_overwrites_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, why: str
) -> None:
    join(tmp_path, bundle_of(ALPHA))
    before = TlsFolder.of(tmp_path / "h").serving().read()
    capsys.readouterr()

    assert join(tmp_path, data) == 1
    told = capsys.readouterr().err.splitlines()

    assert why in told[0]
    assert len(told) == 2, "one sentence, and what to do"
    assert TlsFolder.of(tmp_path / "h").serving().read() == before


def test_a_host_that_joined_serves_as_its_bundle_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    join(tmp_path, bundle_of(ALPHA))
    data = {"data": tmp_path / "h"}

    joined = load_settings(None, data)
    given = load_settings(None, {**data, "listen": "127.0.0.1:0", "name": "other"})
    assert (joined.listen, joined.name) == ("192.168.1.5:7420", "alpha")
    assert (given.listen, given.name) == ("127.0.0.1:0", "other")
    TlsFolder.of(tmp_path / "h").pool.write_text('{"pool": "home"}')
    with pytest.raises(ConfigurationError, match=r"pool\.json is damaged"):
        load_settings(None, data)


def test_a_pipe_or_a_missing_file_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for name, why in (("pipe", "is not a file"), ("missing", "No such file"), (".", "is not a file")):
        assert main(["join", str(tmp_path / name), "--data", str(tmp_path / "h")]) == 1
        assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("addresses", "listen"),
    [
        (("192.168.1.5:7420",), "192.168.1.5:7420"),
        (("[fd00::5]:7420",), "[fd00::5]:7420"),
        (("alpha.lan:7000",), "0.0.0.0:7000"),
        (("192.168.1.5:7420", "10.0.0.5:7420"), "0.0.0.0:7420"),
        (("[fd00::5]:7420", "alpha.lan:7420"), "[::]:7420"),
    ],
)
def test_a_host_listens_at_its_one_ip_address_else_everywhere(addresses: tuple[str, ...], listen: str) -> None:
    assert listen_address(addresses) == listen


def test_a_host_that_has_not_joined_is_told_how(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--listen is required") as refused:
        load_settings(None, {"data": tmp_path})

    assert refused.value.hint.endswith(f"agenthost join FILE --data {tmp_path}")
