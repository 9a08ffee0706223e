"""`conductor certs`: the pool's own CA, and every command ends with the next. Keeps K3."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conductor.cli.commands.certs.looks import certificate_looks
from conductor.cli.main import main
from conductor.maintenance.certificates import rotation
from conductor.maintenance.certificates.identity import conductor_id_of
from conductor.maintenance.certificates.pool import PoolCertificates
from conductor.maintenance.certificates.register import read_register
from servicekit.tls.certificates import facts_of, read_certificates
from servicekit.tls.files import TlsError, TlsFolder, locked, read_bounded, write_whole
from servicekit.tls.issuing.authority import Authority
from servicekit.tls.issuing.bundle import Bundle, read_bundle
from servicekit.tls.issuing.joining import join
from servicekit.tls.revocations import RevocationFile

START = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Machine:
    """A machine with a conductor's data folder, at a time that a test sets."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.data = folder / "c"
        self.now = START
        self._capsys = capsys

    @property
    def tls(self) -> TlsFolder:
        return TlsFolder.of(self.data)

    def certs(self, *arguments: str, code: int = 0) -> str:
        """Calls a command; returns what it printed."""
        data = () if "--data" in arguments else ("--data", str(self.data))
        assert main(["certs", *arguments, *data]) == code
        return "".join(self._capsys.readouterr())

    def host(self, name: str, *extra: str) -> str:
        return self.certs(
            "host", name, "--address", "192.168.1.5", "--out", str(self.folder / f"{name}.agenthost"), *extra
        )

    def client(self, name: str, role: str = "operator", file: str = "") -> str:
        return self.certs("client", name, "--role", role, "--out", str(self.folder / (file or f"{name}.client")))

    def bundle(self, file: str) -> Bundle:
        return read_bundle((self.folder / file).read_bytes(), file, self.now)

    def serials(self) -> frozenset[int]:
        """Returns what is revoked."""
        return RevocationFile.of(self.tls).read().serials


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path, capsys)
    for module in ("pool_folder", "issuing", "listing"):
        monkeypatch.setattr(f"conductor.cli.commands.certs.{module}.now", lambda: made.now)
    made.certs("init", "--address", "192.168.1.2", "--pool", "home")
    return made


def test_a_pool_is_made_and_its_bundles_are_written(
    tmp_path: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    made = machine.certs("init", "--data", str(tmp_path / "other"))
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


def test_what_ends_soon_is_renewed_here_and_written_for_other_machines(machine: Machine, tmp_path: Path) -> None:
    machine.host("alpha")
    machine.client("ann")
    early = machine.certs("renew")
    before = machine.tls.serving().read()
    machine.now += timedelta(days=61)
    told = machine.certs("renew")
    after = machine.tls.serving().checked()
    written = machine.certs("renew", "--out", str(tmp_path / "new"))
    again = machine.certs("renew")
    machine.certs("renew", "alpha", "--out", str(tmp_path / "new"), code=1)

    assert "no certificate ends within 30 days" in early
    assert "this conductor: until 2027-04-30; if it runs, it takes that up by itself" in told
    assert "host 'alpha': its certificate has 29 days left" in told
    assert f"conductor certs renew --data {machine.data} --out FOLDER" in told
    assert after.certificate != before.certificate
    assert after.ca == before.ca
    assert "agenthost join alpha.agenthost --data DIR" in written
    renewed = machine.bundle("new/alpha.agenthost")
    assert (renewed.addresses, renewed.not_after) == (("192.168.1.5:7420",), machine.now + timedelta(days=90))
    assert machine.bundle("new/ann.client").role == "operator"
    assert "no certificate ends within 30 days" in again


def test_a_restored_database_gets_certificates_of_its_own_id(machine: Machine) -> None:
    """Its id is new, so that hosts take it for another conductor; its certificates would be refused."""
    (machine.data / "conductor.db").unlink()
    machine.certs("renew")

    named = facts_of(read_certificates(machine.tls.calling().checked().certificate)[0]).identity
    assert named is not None
    assert named.name == conductor_id_of(machine.data)


def test_a_revoked_member_is_on_the_list_that_the_ca_signed(machine: Machine) -> None:
    machine.host("alpha")
    machine.client("ann", file="first.client")
    machine.client("ann")
    first, second = (machine.bundle(name).pairs[0].facts.serial for name in ("first.client", "ann.client"))

    by_serial = machine.certs("revoke", f"{first:040x}"[:10])
    assert machine.serials() == {first}
    by_name = machine.certs("revoke", "client/ann")
    assert machine.serials() == {first, second}
    repeated = machine.certs("revoke", "ann")
    host = machine.certs("revoke", "alpha")
    refused = machine.certs("host", "alpha", "--address", "x", "--out", str(machine.folder / "y"), code=1)
    listed = machine.certs("list")
    machine.client("ann", file="third.client")

    assert "revoked 1 certificate of client 'ann'" in by_serial
    assert "revoked 1 certificate of client 'ann'" in by_name
    assert "nothing to revoke" in repeated
    assert "conductor hosts remove alpha" in host
    assert [each.name for each in RevocationFile.of(machine.tls).read().hosts] == ["alpha"]
    assert RevocationFile.of(machine.tls).read().number == 3
    assert "give the machine another name:  conductor certs host alpha-2" in refused
    assert listed.count("revoked 0.0 s ago") == 2
    machine.now += timedelta(days=91)
    machine.certs("revoke", "third.client", code=1)
    machine.certs("renew", "conductor")
    machine.certs("revoke", "client/ann")
    assert machine.serials() == frozenset(), "what has ended is refused anyway"


def test_the_old_certificate_of_the_conductor_is_revoked_after_a_new_one(machine: Machine) -> None:
    old = facts_of(read_certificates(machine.tls.calling().read().certificate)[0]).serial
    machine.certs("renew", "conductor")

    assert "revoked 1 certificate of conductor 'conductor'" in machine.certs("revoke", f"{old:040x}")


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


class FullDisk:
    """Fails at one of the files that a command writes, once."""

    def __init__(self) -> None:
        self.left = 0

    def write(self, path: Path, data: bytes) -> None:
        self.left -= 1
        if self.left == 0:
            raise TlsError(f"{path} cannot be written: No space left on device", hint="free the disk")
        write_whole(path, data)


@pytest.mark.parametrize("fails_at", range(1, 7))
def test_what_was_interrupted_at_any_file_is_mended_by_the_same_command(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    machine.client("ann")
    machine.host("alpha")
    host, disk = TlsFolder.of(tmp_path / "h"), FullDisk()
    for module in ("pool", "register", "rotation"):
        monkeypatch.setattr(f"conductor.maintenance.certificates.{module}.write_whole", disk.write)
    monkeypatch.setattr("servicekit.tls.issuing.joining.write_whole", disk.write)

    def twice(*words: str) -> None:
        """Gives a command with a disk that fills, and again where it failed."""
        disk.left = fails_at
        if main(["certs", *words, "--data", str(machine.data)]) != 0:
            main(["certs", *words, "--data", str(machine.data)])
        disk.left = 0

    twice("renew", "conductor")
    twice("revoke", "ann")
    twice("rotate-ca", "--out", str(tmp_path / "new"))
    machine.certs("renew", "alpha", "--out", str(tmp_path / "newer"))  # as a second `rotate-ca` says
    disk.left = fails_at
    with suppress(TlsError):
        join(machine.bundle("newer/alpha.agenthost"), host)
    disk.left = 0
    join(machine.bundle("newer/alpha.agenthost"), host)
    twice("rotate-ca", "--finish")
    machine.certs("renew")

    assert machine.tls.serving().checked().ca == machine.tls.calling().checked().ca
    assert host.serving().checked().ca.startswith(machine.tls.serving().checked().ca)
    assert len(read_certificates(read_bounded(machine.tls.ca))) == 1
    assert len(machine.serials()) == 2, "ann's certificate, and the former CA"


def test_the_ca_is_replaced_without_a_gap(machine: Machine, tmp_path: Path) -> None:
    machine.host("alpha")
    host = TlsFolder.of(tmp_path / "h")
    join(machine.bundle("alpha.agenthost"), host)
    former = read_bounded(machine.tls.ca)
    calling = machine.tls.calling().read().certificate

    begun = machine.certs("rotate-ca", "--out", str(tmp_path / "new"))
    both = read_bounded(machine.tls.ca)
    twice = machine.certs("rotate-ca", "--out", str(tmp_path / "more"), code=1)
    kept = machine.certs("renew", "--all")
    assert both.endswith(former)
    assert both != former
    assert "when all members have theirs:  conductor certs rotate-ca --finish" in begun
    assert "a rotation is under way" in twice
    assert "this conductor keeps its certificates" in kept
    assert machine.tls.calling().checked().certificate == calling, "no host trusts the new CA yet"

    join(machine.bundle("new/alpha.agenthost"), host)
    finished = machine.certs("rotate-ca", "--finish")
    RevocationFile.of(host).accept(read_bounded(machine.tls.revoked))
    assert "the former CA is trusted no longer" in finished
    assert read_bounded(machine.tls.ca) == read_bounded(host.ca) == both.removesuffix(former)
    assert machine.tls.calling().checked().certificate != calling
    assert host.serving().checked().ca == machine.tls.serving().checked().ca
    assert "no certificate ends" in machine.certs("renew")


def test_a_rotation_that_was_interrupted_shuts_no_member_out_unasked(machine: Machine, tmp_path: Path) -> None:
    machine.host("alpha")
    machine.client("ann")
    own = read_bounded(machine.tls.ca)
    write_whole(machine.tls.ca, Authority.make("home", START).certificate_pem + own)  # its key was not written
    with locked(machine.tls.path):
        rotation.begin(PoolCertificates(machine.tls, machine.now))  # and this one wrote no bundles

    refused = machine.certs("rotate-ca", "--finish", code=2)
    machine.certs("renew", "alpha", "--out", str(tmp_path / "new"))
    assert len(read_certificates(read_bounded(machine.tls.ca))) == 2
    assert "conductor certs renew host/alpha client/ann --data" in refused
    assert "1 member would be shut out" in machine.certs("rotate-ca", "--finish", code=2)
    machine.certs("rotate-ca", "--finish", "--force")
    assert "of a former CA" in machine.certs("list")
    assert "client 'ann': its certificate has 90 days left" in machine.certs("renew")


def test_the_doctor_tells_what_ends_soon_and_what_does_not_fit(machine: Machine, tmp_path: Path) -> None:
    machine.host("alpha")
    own = conductor_id_of(machine.data)

    def looks(conductor_id: str = own) -> dict[str, str]:
        return {
            look.text: f"{look.glyph} {' '.join(look.advice)}"
            for look in certificate_looks(machine.data, conductor_id, machine.now)
        }

    assert [advice[0] for advice in looks().values()] == ["✔", "✔"]
    assert "✘ make its own:  conductor certs renew" in "".join(looks("f" * 26).values())
    machine.now += timedelta(days=88)
    soon = looks()
    assert soon["this conductor's certificates: 2 days left"] == f"? conductor certs renew --data {machine.data}"
    assert "--out FOLDER" in soon["the certificate of host 'alpha': 2 days left"]
    machine.now += timedelta(days=3)
    ended = " ".join(looks())
    assert "this conductor's certificates: ended 24 h 00 min ago, until 2027-02-28 12:00 UTC" in ended
    assert "this machine's clock says 2027-03-01 12:00 UTC" in ended
    machine.certs("rotate-ca", "--out", str(tmp_path / "new"))
    assert "rotate-ca --finish" in looks()["the pool's CA is being replaced: two are trusted"]
    machine.tls.serving().key.write_bytes(machine.tls.calling().key.read_bytes())
    assert [advice for text, advice in looks().items() if "is not the key of" in text] == [
        f"✘ conductor certs renew --data {machine.data}"
    ]


def test_a_folder_that_is_an_old_copy_forgets_no_revocation(machine: Machine, tmp_path: Path) -> None:
    """Hosts give the newer list back; what the record does not know stays on it."""
    machine.client("ann")
    machine.client("bob")
    serials = {name: machine.bundle(f"{name}.client").pairs[0].facts.serial for name in ("ann", "bob")}
    old = read_bounded(machine.tls.issued)
    machine.certs("revoke", "ann")
    machine.certs("revoke", "bob")
    newest = read_bounded(machine.tls.revoked)
    write_whole(machine.tls.issued, old)
    machine.tls.revoked.unlink()

    machine.client("cid")
    RevocationFile.of(machine.tls).accept(newest)
    machine.certs("revoke", "cid")

    read = RevocationFile.of(machine.tls).read()
    assert read.number == 3
    assert read.serials == {*serials.values(), machine.bundle("cid.client").pairs[0].facts.serial}


def test_commands_at_the_same_time_lose_no_record(machine: Machine) -> None:
    def issue(number: int) -> None:
        with locked(machine.tls.path):
            PoolCertificates(machine.tls, machine.now).client(f"c{number}", "viewer")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(issue, range(24)))

    names = {entry.name for entry in read_register(machine.tls).entries}
    assert names == {"conductor", *(f"c{number}" for number in range(24))}
