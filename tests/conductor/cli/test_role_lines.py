"""The doctor's lines about the conductors of one database: role, lease, lag, and what to do. Keeps K2 and K15."""

import pytest

from conductor.cli.commands.upkeep.roles import Met, role_looks
from conductor.cli.text.failure import CommandError
from conductor.v1.server_service_pb2 import ServerInfo

SETTINGS = {"limits.lease_seconds": "10"}


def met(address: str, role: str, **told: object) -> Met:
    told = {"conductor_id": "one", "version": "1", "store": "postgresql", "settings": SETTINGS, **told}
    return Met(address, ServerInfo(role=role, **told))  # type: ignore[arg-type]


ACTIVE = met("a:1", "active", epoch=7, active_address="a:1", lease_seconds=9.0)
STANDBY = met("b:2", "standby", active_address="a:1", lease_seconds=8.0, lag_seconds=0.4)
AWAY = Met("a:1", None, CommandError("no conductor answers at a:1", lines=("start it",)))


def test_each_conductor_has_a_line_with_its_role_lease_and_lag() -> None:
    active, standby = role_looks((ACTIVE, STANDBY))

    assert (active.good, active.text) == (
        True,
        "conductor 1 at a:1: active in its PostgreSQL database, epoch 7, its lease lasts 9.0 s more",
    )
    assert (standby.good, standby.text) == (True, "conductor 1 at b:2: standby, 0.4 s behind; the active one is at a:1")


def test_an_active_conductor_that_is_dead_is_seen_on_the_standby_before_its_lease_ends() -> None:
    dead, standby = role_looks((AWAY, met("b:2", "standby", active_address="a:1", lease_seconds=4.0)))
    (alone,) = role_looks((met("b:2", "standby", active_address="a:1", lease_seconds=4.0),))

    assert [dead.good, standby.good, alone.good] == [False] * 3
    assert "has not renewed its lease for 6.0 s" in alone.text
    assert "a standby takes over in 4.0 s" in alone.advice[0]


@pytest.mark.parametrize(
    ("told", "text", "advice"),
    [
        ({}, "no conductor of its database is active", "start a conductor of this database"),
        ({"store_problem": "cannot connect to x; look at it"}, "its database does not answer", "cannot connect to x"),
        (
            {"active_address": "a:1", "lease_seconds": 9.0, "lag_seconds": 30.0},
            "30.0 s behind",
            "look at the standby's log",
        ),
    ],
)
def test_what_is_wrong_with_a_standby_says_what_to_do(told: dict[str, object], text: str, advice: str) -> None:
    (look,) = role_looks((met("b:2", "standby", **told),))

    assert not look.good
    assert text in look.text
    assert advice in look.advice[0]


def test_a_standby_alone_says_how_to_name_both() -> None:
    (look,) = role_looks((STANDBY,))

    assert look.good
    assert look.details == ("name both for what changes something:  --address b:2,a:1",)


def test_conductors_of_two_databases_are_told_apart() -> None:
    *_, mixed = role_looks((ACTIVE, met("b:2", "active", conductor_id="two")))

    assert not mixed.good
    assert mixed.text == "the conductors at a:1 and b:2 have different databases"
