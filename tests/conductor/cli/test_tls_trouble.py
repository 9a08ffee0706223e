"""Wrong certificates, over real sockets: one sentence of the command line for each, and the command that mends it. Keeps K3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.cli.main import main
from conductor.cli.text.failure import NOT_AUTHORISED, UNREACHABLE
from servicekit.tls.issuing.bundle import write_bundle
from tests.kit.tls_servers import ALPHA, ANN, CALLING, EARLY, ENDED, SERVING, Pool, running_servers

Files = dict[str, tuple[str, ...]]
Addresses = dict[str, str]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return Pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="module")
def callers(pool: Pool) -> Files:
    """The options of callers, by what is wrong with them."""
    made = {
        "good": pool.files("good", ANN),
        "ended": pool.files("ended", ANN, after=ENDED),
        "early": pool.files("early", ANN, after=EARLY),
        "of another CA": pool.files("foreign", ANN, of=pool.other),
        "of another pool": pool.files("stranger", ANN, of=pool.other, ca=pool.other),
        "for serving": pool.files("host", ALPHA),
        "of a conductor": pool.files("calling", CALLING),
        "revoked": pool.files("revoked", ANN),
    }
    options = {
        name: ("--tls-ca", str(each.ca), "--tls-cert", str(each.certificate), "--tls-key", str(each.key))
        for name, each in made.items()
    }
    bundle, host_bundle = pool.folder / "ann.client", pool.folder / "alpha.agenthost"
    for file, name in ((bundle, "good"), (host_bundle, "for serving")):
        pair = (made[name].key.read_bytes(), made[name].certificate.read_bytes())
        file.write_bytes(write_bundle([pair], pool.ca.certificate_pem, ("127.0.0.1:1",), ()))
    options |= {"a bundle": ("--bundle", str(bundle)), "a host's bundle": ("--bundle", str(host_bundle))}
    return options | {"no certificate": ("--tls-ca", str(made["good"].ca)), "nothing": ()}


@pytest.fixture(scope="module")
def addresses(pool: Pool, callers: Files) -> Iterator[Addresses]:
    """Conductors, by what is wrong with them."""
    with running_servers(pool.folder) as servers:
        yield {
            "good": servers.conductor(pool.files("serving", SERVING), frozenset({pool.serials["revoked"]})),
            "without TLS": servers.conductor(None),
            "ended": servers.conductor(pool.files("serving-ended", SERVING, after=ENDED)),
            "early": servers.conductor(pool.files("serving-early", SERVING, after=EARLY)),
            "another name": servers.conductor(pool.files("serving-alpha", ALPHA)),
            "for calling": servers.conductor(pool.files("serving-calling", CALLING)),
            "requiring one": servers.host(pool.files("requiring", SERVING)),
            "a host": servers.host(pool.files("alpha", ALPHA)),
        }


TROUBLES = [
    ("nothing", "good", "speaks TLS, and you gave no certificates", "conductor --bundle FILE", NOT_AUTHORISED),
    ("good", "without TLS", "speaks no TLS, and you gave certificates", "leave --bundle", UNREACHABLE),
    ("of another pool", "good", "a certificate of another CA than yours", "conductor certs client", UNREACHABLE),
    (
        "of another CA",
        "good",
        "trusts another CA than that of your certificate",
        "conductor certs client",
        NOT_AUTHORISED,
    ),
    ("for serving", "good", "is for serving, not for calling", "conductor certs client", NOT_AUTHORISED),
    ("ended", "good", "the certificate of client 'ann' ended at", "conductor certs client ann", NOT_AUTHORISED),
    ("early", "good", "the certificate of client 'ann' begins at", "conductor certs client ann", NOT_AUTHORISED),
    (
        "revoked",
        "good",
        "the certificate of client 'ann' was revoked",
        "conductor certs client ann",
        NOT_AUTHORISED,
    ),
    (
        "of a conductor",
        "good",
        "is not one of a client, but the conductor",
        "conductor certs client",
        NOT_AUTHORISED,
    ),
    ("no certificate", "good", "needs a token or a client certificate", "", NOT_AUTHORISED),
    ("good", "ended", "the certificate of the conductor at", "conductor certs renew --data DIR", UNREACHABLE),
    ("good", "early", "and this machine's clock says", "date -u", UNREACHABLE),
    ("good", "another name", "shows a certificate for alpha.home.host.invalid", "--bundle FILE", UNREACHABLE),
    ("good", "for calling", "a certificate that is not for serving", "conductor certs renew", UNREACHABLE),
    ("no certificate", "a host", "shows a certificate for alpha.home.host.invalid", "--address", UNREACHABLE),
    ("no certificate", "requiring one", "requires a certificate; an agent host, perhaps", "--address", NOT_AUTHORISED),
    ("nothing", "a host", "speaks TLS, and you gave no certificates", "conductor --bundle FILE", NOT_AUTHORISED),
    (
        "a host's bundle",
        "good",
        "is the bundle of the host 'alpha', which makes no calls",
        "certs client",
        NOT_AUTHORISED,
    ),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda row: f"{row[0]}-{row[1]}")
def test_each_trouble_is_one_sentence_with_the_command_that_mends_it(
    trouble: tuple[str, str, str, str, int], callers: Files, addresses: Addresses, capsys: pytest.CaptureFixture[str]
) -> None:
    caller, server, sentence, command, code = trouble

    ended = main(["--address", addresses[server], *callers[caller], "hosts"])

    told = capsys.readouterr()
    first, *rest = told.err.splitlines()
    assert ended == code
    assert sentence in first
    assert ". " not in first.replace("certificate. (UNAUTHENTICATED)", "")
    assert command in "\n".join(rest)
    assert "PRIVATE KEY" not in told.err


@pytest.mark.parametrize("caller", ["good", "a bundle"])
def test_a_good_certificate_is_let_in(
    caller: str, callers: Files, addresses: Addresses, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--address", addresses["good"], *callers[caller], "hosts"]) == 0

    assert capsys.readouterr().err.startswith("no hosts; ")


def test_files_that_do_not_fit_are_refused_before_anything_is_dialled(
    pool: Pool, callers: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, other = callers["good"], callers["revoked"]
    for options, sentence in (
        ((*good[:4], "--tls-key", other[5]), "is not the key of the certificate"),
        (good[2:], "TLS needs --tls-ca"),
        ((*callers["a bundle"], *good), "the bundle holds certificates of its own"),
        (("--bundle", str(tmp_path / "none")), "cannot be read"),
        (("--bundle", good[1]), "is no usable bundle"),
    ):
        assert main(["--address", "127.0.0.1:1", *options, "hosts"]) in (2, NOT_AUTHORISED)
        assert sentence in capsys.readouterr().err
