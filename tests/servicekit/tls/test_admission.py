"""Each call's certificate is checked again, after TLS: pool, use, dates and revocation. Keeps K3 and K12."""

from datetime import UTC, datetime, timedelta

import pytest

from servicekit.errors import RoleNotAllowedError, UnauthenticatedError
from servicekit.tls.admission import check_certificate, client_of
from servicekit.tls.certificates import SERVING, Facts, read_facts
from servicekit.tls.identity import Identity, Kind
from servicekit.tls.issuing.authority import Authority, Request, client_request, conductor_requests

CA = Authority.make("home", datetime.now(UTC))
ANN = client_request("home", "ann", "operator")
_, CONDUCTOR = conductor_requests("home", "study", "0123456789", ())


def facts(request: Request, days: int = 0) -> Facts:
    return read_facts(CA.issue(request, datetime.now(UTC) + timedelta(days=days)).certificate)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (facts(client_request("office", "ann", "operator")), "is of the pool 'office', and this is 'home'"),
        (facts(Request(Identity("home", Kind.CLIENT, "ann"), SERVING, "ann", "operator")), "is not for calling"),
        (facts(ANN, -100), "ended at"),
        (facts(ANN, 100), "begins at"),
        (read_facts(CA.certificate_pem), "names no client or conductor of a pool"),
    ],
)
def test_a_certificate_that_is_not_good_is_refused_with_the_reason(shown: Facts, words: str) -> None:
    with pytest.raises(UnauthenticatedError, match=words) as refused:
        check_certificate(shown, "home", lambda _: "")

    assert "conductor certs client" in refused.value.hint


def test_a_revoked_certificate_is_refused() -> None:
    with pytest.raises(UnauthenticatedError, match="the certificate of client 'ann' was revoked"):
        check_certificate(facts(ANN), "home", lambda _: "was revoked")


def test_a_client_is_known_by_its_name_and_role() -> None:
    caller = client_of(facts(ANN), "home", lambda _: "")

    assert (caller.identity, caller.role) == ("certificate:ann", "operator")


@pytest.mark.parametrize("asked", [CONDUCTOR, client_request("home", "ann", "")])
def test_a_conductor_and_a_client_without_role_are_no_callers(asked: Request) -> None:
    with pytest.raises(RoleNotAllowedError, match="is not one of a client"):
        client_of(facts(asked), "home", lambda _: "")
