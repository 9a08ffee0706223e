"""Who a certificate is for. Keeps K3."""

import pytest

from servicekit.tls.identity import Identity, IdentityError, Kind

WRONG = [
    "",
    "conductor://home/host/",
    "conductor://home/host/alpha/",
    "conductor://home/host/alpha\n",
    "conductor://home/host/ALPHA",
    "conductor://home/admin/ann",
    "conductor://home/host/-alpha",
    "conductor://home/host/a%2fb",
    "conductor://home/host/" + "a" * 41,
    "conductor:///host/alpha",
    "spiffe://home/host/alpha",
    "xconductor://home/host/alpha",
]


@pytest.mark.parametrize("kind", Kind)
def test_a_uri_is_read_as_it_was_written(kind: Kind) -> None:
    identity = Identity("home", kind, "alpha-1")

    assert identity.uri == f"conductor://home/{kind}/alpha-1"
    assert Identity.parse(identity.uri) == identity


@pytest.mark.parametrize("uri", WRONG)
def test_a_uri_of_another_form_names_no_party(uri: str) -> None:
    with pytest.raises(IdentityError):
        Identity.parse(uri)


def test_a_host_serves_under_a_name_of_its_own_and_conductors_under_the_pools() -> None:
    assert Identity("home", Kind.HOST, "alpha").server_name == "alpha.home.host.invalid"
    assert Identity("home", Kind.CONDUCTOR, "x1").server_name == "conductor.home.invalid"
    assert Identity("home", Kind.CLIENT, "ann").server_name == ""
