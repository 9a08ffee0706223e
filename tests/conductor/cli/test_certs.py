"""`conductor certs`: the pool's own CA, and every command ends with the next. Keeps K3."""

import json
import stat
from pathlib import Path

import pytest

from conductor.cli.main import main
from servicekit.tls.certificates import facts_of, read_certificates
from servicekit.tls.files import TlsFolder
from servicekit.tls.register import read_register


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "c"


def test_a_pool_is_made_and_its_bundles_are_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--data", str(data))

    assert main(["certs", "init", *where, "--address", "192.168.1.2", "--pool", "home"]) == 0
    made = capsys.readouterr()
    assert (
        main(["certs", "host", "alpha", "--address", "192.168.1.5", *where, "--out", str(tmp_path / "a.agenthost")])
        == 0
    )
    host = capsys.readouterr()
    assert main(["certs", "client", "ann", "--role", "operator", *where, "--out", str(tmp_path / "ann.client")]) == 0
    client = capsys.readouterr()

    folder = TlsFolder.of(data)
    served = facts_of(read_certificates(folder.serving().checked().certificate)[0])
    assert {"conductor.home.invalid", "192.168.1.2", "localhost", "127.0.0.1"} <= set(served.names)
    assert served.identity == facts_of(read_certificates(folder.calling().checked().certificate)[0]).identity
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o600}
    assert "ca-key.pem is in no backup" in made.err
    assert f"conductor certs host NAME --address ADDRESS --data {data} --out NAME.agenthost" in made.err
    assert "agenthost join a.agenthost --data DIR" in host.err
    assert "conductor hosts add alpha 192.168.1.5:7420" in host.err
    assert f"conductor --address 192.168.1.2:7410 --bundle {tmp_path}/ann.client runs" in client.err
    assert stat.S_IMODE((tmp_path / "ann.client").stat().st_mode) == 0o600
    assert [(entry.kind, entry.name, entry.role, entry.usage) for entry in read_register(folder).entries] == [
        ("conductor", "conductor", "", "serverAuth"),
        ("conductor", "conductor", "", "clientAuth"),
        ("host", "alpha", "", "serverAuth"),
        ("client", "ann", "operator", "clientAuth"),
    ]


def test_what_cannot_be_is_refused_in_a_sentence_and_changes_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x"
    (tmp_path / "there").touch()
    client = ("certs", "client", "ann", "--role", "viewer", "--data", str(data), "--out")
    host = ("certs", "host", "alpha", "--data", str(data), "--out", str(out), "--address")

    def told(*arguments: str) -> str:
        assert main(list(arguments)) in (1, 2)
        return capsys.readouterr().err

    assert "conductor certs init" in told(*client, str(out))
    assert not data.exists()
    main(["certs", "init", "--data", str(data)])
    before = read_register(TlsFolder.of(data))
    capsys.readouterr()

    assert "holds the CA of the pool 'pool' already" in told("certs", "init", "--data", str(data))
    assert "there is there already; nothing was written" in told(*client, str(tmp_path / "there"))
    assert "'Ann B' cannot be a name" in told(*("Ann B" if part == "ann" else part for part in client), str(out))
    assert "no IPv6 address" in told(*host, "fd00::1:2:3]")
    assert "unix socket" in told(*host, "unix:/tmp/x:1")
    assert "'root' is not one of" in told("certs", "client", "ann", "--role", "root", "--data", str(data), "--out", "x")
    assert (read_register(TlsFolder.of(data)), out.exists()) == (before, False)
    (data / "tls" / "ca-key.pem").chmod(0o644)
    assert "chmod 600" in told(*client, str(out))
    (data / "tls" / "ca-key.pem").unlink()
    assert "restore it from your copy" in told(*client, str(out))


def test_the_commands_print_json(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--output", "json", "certs", "init", "--data", str(data)]) == 0
    made = json.loads(capsys.readouterr().out)
    out = str(tmp_path / "b")
    assert (
        main(["--output", "json", "certs", "client", "b", "--role", "viewer", "--data", str(data), "--out", out]) == 0
    )
    client = json.loads(capsys.readouterr().out)

    assert (made["pool"], client["path"], client["identity"]) == ("pool", out, "conductor://pool/client/b")
    assert made["conductorId"] == read_register(TlsFolder.of(data)).entries[0].id
