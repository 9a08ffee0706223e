"""A conductor's certificate has the addresses of its machine, as the kernel tells them. Keeps K3."""

from pathlib import Path

import pytest

from conductor.maintenance.certificates import machine

ROUTES = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 10.1.0.0
        /24 link UNICAST
     |-- 10.1.0.7
        /32 host LOCAL
     |-- 169.254.3.4
        /32 host LOCAL
     |-- oddity
        /32 host LOCAL
"""
SIX = """00000000000000000000000000000001 01 80 10 80       lo
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
fd000000000000000000000000000002 04 40 00 82     eth0
nonsense
"""


def test_the_addresses_are_those_that_other_machines_can_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "four").write_text(ROUTES)
    (tmp_path / "six").write_text(SIX)
    monkeypatch.setattr(machine, "_ROUTES", tmp_path / "four")
    monkeypatch.setattr(machine, "_SIX", tmp_path / "six")
    monkeypatch.setattr(machine, "_usual", lambda: iter(()))

    assert machine.own_addresses() == ("10.1.0.7", "fd00::2")
    assert {"localhost", "127.0.0.1", "::1", "10.1.0.7"} <= set(machine.own_names())


def test_a_machine_that_tells_nothing_has_no_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ROUTES", "_SIX"):
        monkeypatch.setattr(machine, name, tmp_path / "missing")
    monkeypatch.setattr(machine, "_NOWHERE", ("255.255.255.255", 9))

    assert machine.own_addresses() == ()


def test_this_machine_tells_its_own() -> None:
    assert len(machine.own_names()) <= machine.MAX_ADDRESSES + 4
