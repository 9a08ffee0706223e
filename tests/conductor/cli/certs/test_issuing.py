"""`conductor certs`: the pool's own CA and what it issues, and every command ends with the next. Keeps K3."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from conductor.maintenance.certificates.identity import conductor_id_of
from conductor.maintenance.certificates.pool import PoolCertificates
from conductor.maintenance.certificates.register import read_register
from servicekit.tls.certificates import facts_of, read_certificates
from servicekit.tls.files import TlsFolder, locked
from tests.conductor.cli.certs.machine import Machine


def test_a_pool_is_made_and_its_bundles_are_written(
    tmp_path: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    made = machine.certs("init", "--data", str(tmp_path / "other"), "--address", "192.168.1.2")
    host = machine.certs("host", "alpha", "--address", "192.168.1.5", "--out", str(tmp_path / "a.agenthost"))
    client = machine.client("ann")

    served = facts_of(read_certificates(machine.tls.serving().checked().certificate)[0])
    dialling = facts_of(read_certificates(machine.tls.calling().checked().certificate)[0])
    assert {"conductor.home.invalid", "192.168.1.2", "localhost", "127.0.0.1"} <= set(served.names)
    assert served.identity == dialling.identity
    assert served.identity is not None
    assert served.identity.name == conductor_id_of(machine.data)
    assert {stat.S_IMODE(path.stat().st_mode) for path in machine.tls.path.iterdir()} == {0o600}
    assert "ca-key.pem is in no backup" in made
    assert f"conductor serve --data {tmp_path}/other --listen 192.168.1.2:7410" in made
    assert f"conductor certs host NAME --address ADDRESS --data {tmp_path}/other --out NAME.agenthost" in made
    assert "agenthost join a.agenthost --data DIR" in host
    assert "conductor hosts add alpha 192.168.1.5:7420" in host
    assert f"conductor --bundle {tmp_path}/ann.client runs" in client
    assert stat.S_IMODE((tmp_path / "ann.client").stat().st_mode) == 0o600
    assert [(entry.kind, entry.name, entry.role, entry.usage) for entry in read_register(machine.tls).entries] == [
        ("conductor", "conductor", "", "serverAuth"),
        ("conductor", "conductor", "", "clientAuth"),
        ("host", "alpha", "", "serverAuth"),
        ("client", "ann", "operator", "clientAuth"),
    ]


def test_what_cannot_be_is_refused_in_a_sentence_and_changes_nothing(machine: Machine, tmp_path: Path) -> None:
    out = tmp_path / "x"
    (tmp_path / "there").touch()
    before = read_register(machine.tls)
    client = ("client", "ann", "--role", "viewer", "--out")
    host = ("host", "alpha", "--out", str(out), "--address")

    for words, code, why in [
        ((*client, str(out), "--data", str(tmp_path / "nothing")), 1, "make one:  conductor certs init"),
        (("init",), 1, "holds the CA of the pool 'home' already"),
        (("init", "--data", str(tmp_path / "n"), "--pool", "My Pool"), 1, "'My Pool' cannot be a name in a pool"),
        ((*client, str(tmp_path / "there")), 1, "there is there already; nothing was written"),
        (("client", "Ann B", "--role", "viewer", "--out", str(out)), 1, "'Ann B' cannot be a name"),
        ((*host, "fd00::1:2:3]"), 2, "no IPv6 address"),
        ((*host, "unix:/tmp/x:1"), 2, "unix socket"),
        ((*host, "0.0.0.0"), 2, "is no address that another machine can reach"),
        ((*host, "::"), 2, "is no address that another machine can reach"),
        (("client", "ann", "--role", "root", "--out", "x"), 2, "'root' is not one of"),
        (("conductor", "conductor", "--out", str(out)), 1, "'conductor' is the conductor in this folder"),
        (("revoke", "anne"), 1, "there is no member 'anne' of the pool 'home'"),
        (("revoke", "conductor"), 1, "conductor certs renew conductor, then revoke the old one by its serial"),
        (("rotate-ca",), 2, "give --out FOLDER to begin, or --finish to end"),
        (("rotate-ca", "--finish"), 1, "no rotation is under way"),
    ]:
        assert why in machine.certs(*words, code=code)
    assert (read_register(machine.tls), out.exists(), (tmp_path / "nothing").exists()) == (before, False, False)


def test_a_ca_without_its_key_or_with_one_that_others_read_issues_nothing(machine: Machine, tmp_path: Path) -> None:
    client = ("client", "ann", "--role", "viewer", "--out", str(tmp_path / "x"))
    machine.tls.ca_key.chmod(0o644)
    assert "chmod 600" in machine.certs(*client, code=1)
    machine.tls.ca_key.unlink()
    assert "restore it from your copy" in machine.certs(*client, code=1)
    machine.tls.issued.write_text('{"format": 1}')
    assert "issued.json is damaged" in machine.certs(*client, code=1)


def test_an_interrupted_init_is_completed_by_the_next_one(machine: Machine, tmp_path: Path) -> None:
    for gone in (("client.pem",), ("client.pem", "server.pem", "issued.json")):
        for name in gone:
            (machine.tls.path / name).unlink()
        machine.certs("init", "--pool", "home")
        assert machine.tls.serving().checked().ca == machine.tls.calling().checked().ca
    machine.client("ann")


def test_the_list_shows_who_may_do_what_for_how_long(machine: Machine) -> None:
    machine.host("alpha")
    machine.client("ann", "admin", "first.client")
    changed = machine.client("ann", "viewer")
    machine.now += timedelta(days=70)
    shown = machine.certs("list")
    every = machine.certs("list", "--all").splitlines()
    as_json = [json.loads(line) for line in machine.certs("list", "--output", "json").splitlines()]

    lines = [line.split() for line in shown.splitlines()]
    assert [(line[0], line[1], line[2], line[3], line[5:]) for line in lines[2:4]] == [
        ("?", "host", "alpha", "serves", ["issued", "70", "days", "ago,", "20", "days", "left"]),
        ("?", "client", "ann", "viewer", ["issued", "70", "days", "ago,", "20", "days", "left"]),
    ]
    assert "an earlier certificate of 'ann' still holds, as admin" in changed
    assert "3 members to renew:  conductor certs renew --data" in shown
    assert len(every) == len(lines) + 1
    assert [each["role"] for each in as_json] == ["", "", "", "viewer"]
    assert len(as_json[0]["serial"]) == 40


def test_a_second_conductor_joins_with_the_id_of_its_bundle(machine: Machine, tmp_path: Path) -> None:
    there, other = tmp_path / "there", tmp_path / "other"
    told = machine.certs("conductor", "study", "--address", "192.168.1.3", "--out", str(tmp_path / "study.conductor"))
    joined = machine.certs("join", str(tmp_path / "study.conductor"), "--data", str(there))
    again = machine.certs("join", str(tmp_path / "study.conductor"), "--data", str(there))
    machine.certs("conductor", "study", "--out", str(tmp_path / "renewed"))
    renewed = machine.certs("join", str(tmp_path / "renewed"), "--data", str(there))
    conductor_id_of(other)
    taken = machine.certs("join", str(tmp_path / "renewed"), "--data", str(other))
    machine.host("alpha")

    served = facts_of(read_certificates(TlsFolder.of(there).serving().checked().certificate)[0])
    assert "conductor certs join study.conductor --data DIR" in told
    assert f"conductor serve --data {there} --listen 192.168.1.3:7410" in joined
    assert "was already" in again
    assert "was already" not in renewed
    assert served.identity is not None
    assert served.identity.name == conductor_id_of(there) == conductor_id_of(other), "it had no runs"
    assert "was already" not in taken
    for words, why in [
        (
            ("join", str(tmp_path / "alpha.agenthost"), "--data", str(there)),
            "is the bundle of the host 'alpha', not of a",
        ),
        (("join", str(tmp_path / "renewed")), "holds the CA of a pool of its own"),
        (
            ("conductor", "study", "--id", "f" * 26, "--out", str(tmp_path / "x")),
            f"'study' has the id {served.identity.name}",
        ),
        (("list", "--data", str(there)), "is of a member of a pool whose CA is elsewhere"),
        (("init", "--data", str(there)), "is a member of a pool whose CA is elsewhere"),
    ]:
        assert why in machine.certs(*words, code=1)


def test_commands_at_the_same_time_lose_no_record(machine: Machine) -> None:
    def issue(number: int) -> None:
        with locked(machine.tls.path):
            PoolCertificates(machine.tls, machine.now).client(f"c{number}", "viewer")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(issue, range(24)))

    names = {entry.name for entry in read_register(machine.tls).entries}
    assert names == {"conductor", *(f"c{number}" for number in range(24))}
