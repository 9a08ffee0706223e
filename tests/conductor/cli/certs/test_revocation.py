"""`conductor certs revoke`: what is revoked stays so. Keeps K3."""

from datetime import timedelta
from pathlib import Path

from servicekit.tls.certificates import facts_of, read_certificates
from servicekit.tls.files import read_bounded, write_whole
from servicekit.tls.revocations import RevocationFile
from tests.conductor.cli.certs.machine import Machine


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
