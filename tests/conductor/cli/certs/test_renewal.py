"""`conductor certs renew` and `rotate-ca`: certificates and the CA are replaced without a gap. Keeps K3."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from conductor.cli.commands.certs.looks import certificate_looks
from conductor.cli.main import main
from conductor.maintenance.certificates import rotation
from conductor.maintenance.certificates.identity import conductor_id_of
from conductor.maintenance.certificates.pool import PoolCertificates
from servicekit.tls.certificates import facts_of, read_certificates
from servicekit.tls.files import TlsError, TlsFolder, locked, read_bounded, write_whole
from servicekit.tls.issuing.authority import Authority
from servicekit.tls.issuing.joining import join
from servicekit.tls.revocations import RevocationFile
from tests.conductor.cli.certs.machine import START, Machine


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
