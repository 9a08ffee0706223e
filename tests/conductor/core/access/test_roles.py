"""The table of roles: every method of every service has its line, and a role may do what the roles before it may. Keeps K12."""

import pytest

from conductor.core.access.roles import METHODS, Role, is_allowed, is_read, role_needed
from servicekit.calls.descriptors import DescriptorLibrary
from servicekit.tls.identity import ROLES

RUNS = "/conductor.v1.RunService"


def _methods() -> set[str]:
    """The methods of all services that a conductor serves."""
    library = DescriptorLibrary.load("conductor")
    return {
        f"/{file.package}.{service.name}/{method.name}"
        for file in library.files
        for service in file.service
        for method in service.method
    }


def test_every_method_that_is_served_has_its_line_and_no_other() -> None:
    assert METHODS.keys() == _methods()


def test_a_certificate_can_name_the_same_roles() -> None:
    assert tuple(Role) == ROLES


def test_a_method_without_a_line_needs_an_admin() -> None:
    assert role_needed(f"{RUNS}/EraseEverything") is Role.ADMIN
    assert role_needed("") is Role.ADMIN


@pytest.mark.parametrize(
    ("method", "least"),
    [
        ("GetRun", Role.VIEWER),
        ("WatchRuns", Role.VIEWER),
        ("CreateRun", Role.OPERATOR),
        ("CancelRun", Role.OPERATOR),
        ("PauseRun", Role.OPERATOR),
        ("DeleteRun", Role.ADMIN),
    ],
)
def test_a_role_may_do_what_the_roles_before_it_may(method: str, least: Role) -> None:
    roles = list(Role)
    allowed = [role for role in roles if is_allowed(role, role_needed(f"{RUNS}/{method}"))]

    assert allowed == roles[roles.index(least) :]


@pytest.mark.parametrize("role", ["", "Admin", "root", "host", "viewer "])
def test_a_text_that_is_no_role_may_do_nothing(role: str) -> None:
    assert not any(is_allowed(role, needed) for needed in Role)


def test_reading_methods_are_open_to_viewers_and_changing_ones_are_not() -> None:
    reads = ("Get", "List", "Read", "Watch", "Compare", "Check", "Validate", "ServerReflectionInfo")
    for method, role in METHODS.items():
        if "AccessService" not in method:
            assert (role is Role.VIEWER) == method.rpartition("/")[2].startswith(reads), method


def test_a_standby_answers_what_changes_nothing() -> None:
    """Keeps K15. A call that is not known to be a read counts as a change."""
    served = {method.rpartition("/")[2] for method in METHODS if is_read(method) and method.startswith("/conductor")}

    assert {"GetRun", "WatchRun", "ReadOutput", "GetReport", "ListGates", "ListHosts", "ListTokens"} <= served
    changes = {
        "CreateRun",
        "CancelRun",
        "PlanRun",
        "ResolveGate",
        "DeleteRun",
        "PushWorkspace",
        "AddHost",
        "CreateToken",
    }
    assert served & changes == set()
    assert not is_read("/conductor.v1.RunService/NewMethod")
