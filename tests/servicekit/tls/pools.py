"""A CA and bundles of it, for tests, at a time of their choice."""

from datetime import UTC, datetime, timedelta

from servicekit.tls.issuing.authority import (
    Authority,
    Issued,
    Request,
    client_request,
    conductor_requests,
    host_request,
)
from servicekit.tls.issuing.bundle import write_bundle

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
POOL = "home"
CA = Authority.make(POOL, NOW)
ALPHA, ANN = host_request(POOL, "alpha"), client_request(POOL, "ann", "operator")
CONDUCTOR = conductor_requests(POOL, "study", "0123456789abcdef0123456789", ("192.168.1.2", "study.lan"))
ADDRESSES = ("192.168.1.5:7420",)


def issued(request: Request, *, ca: Authority = CA, after: timedelta = timedelta()) -> Issued:
    return ca.issue(request, NOW + after)


def bundle_of(
    *requests: Request, ca: Authority = CA, addresses: tuple[str, ...] = ADDRESSES, after: timedelta = timedelta()
) -> bytes:
    made = [issued(request, ca=ca, after=after) for request in requests]
    return write_bundle([(one.key, one.certificate) for one in made], ca.certificate_pem, addresses, ("for a test",))
