"""Where services serve and dial by TLS, by their settings: nothing that other machines reach is without it. Keeps K3."""

from pathlib import Path
from typing import Any

import pytest

from agenthost.config import Settings as HostSettings
from agenthost.config import load_settings
from conductor.config import Settings, load
from servicekit.addresses import Address
from servicekit.errors import ConfigurationError
from servicekit.tls.files import TlsFiles, TlsFolder
from servicekit.tls.issuing.bundle import read_bundle
from servicekit.tls.issuing.joining import join
from tests.servicekit.tls.pools import ADDRESSES, ALPHA, CONDUCTOR, NOW, bundle_of

OUTSIDE = ("0.0.0.0:7410", "[::]:7410", "192.168.1.2:7410", "study.lan:7410")
INSIDE = ("127.0.0.1:7410", "[::1]:7410", "localhost:7410", "unix:/tmp/x/s")


def conductor(data: Path, listen: str, **given: Any) -> Settings:
    return load(default_listen=listen, default_data=data, **given)


def host(data: Path, listen: str, **given: Any) -> HostSettings:
    return load_settings(None, {"listen": listen, "data": data, "name": "alpha", **given})


def refused(make: Any, *given: Any, **named: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        make(*given, **named)
    return caught.value


@pytest.mark.parametrize("listen", OUTSIDE)
def test_what_other_machines_reach_needs_tls_and_the_two_commands_are_told(listen: str, tmp_path: Path) -> None:
    data = tmp_path / "d"
    of_conductor, of_host = refused(conductor, data, listen), refused(host, data, listen)

    for error in (of_conductor, of_host):
        assert f"'{listen}' reaches beyond this machine, which needs TLS, and there are no certificates" in str(error)
    first, second = of_conductor.hint.splitlines()
    assert f"conductor certs init --data {data} --address ADDRESS" in first
    assert f"conductor serve --data {data} --listen {listen}" in second
    first, second = of_host.hint.splitlines()
    place = listen if listen[0] in "1s" else "ADDRESS:7410"
    assert f"conductor certs host alpha --address {place} --data DIR --out alpha.agenthost" in first
    assert f"agenthost join alpha.agenthost --data {data}" in second
    assert not data.exists()


@pytest.mark.parametrize("listen", INSIDE)
def test_loopback_and_unix_sockets_need_none(listen: str, tmp_path: Path) -> None:
    assert not conductor(tmp_path, listen).tls.serves(Address.parse(listen))
    assert not host(tmp_path, listen).tls.serves(Address.parse(listen))


@pytest.mark.parametrize("listen", [*OUTSIDE, *INSIDE])
def test_certificates_in_the_data_folder_serve_everywhere_but_at_a_unix_socket(listen: str, tmp_path: Path) -> None:
    address = Address.parse(listen, is_anywhere=True)
    for request, data, settings_of in ((CONDUCTOR, tmp_path / "c", conductor), ((ALPHA,), tmp_path / "h", host)):
        join(read_bundle(bundle_of(*request), "x", NOW), TlsFolder.of(data))
        tls = settings_of(data, listen).tls  # type: ignore[operator]
        tls.check()

        assert tls.serves(address) is not listen.startswith("unix:")


def test_a_host_that_joined_takes_name_and_address_out_of_its_bundle(tmp_path: Path) -> None:
    join(read_bundle(bundle_of(ALPHA), "x", NOW), TlsFolder.of(tmp_path))

    settings = load_settings(None, {"data": tmp_path})
    own = load_settings(None, {"data": tmp_path, "listen": "unix:/tmp/x/s", "name": "beta"})

    assert (settings.listen, settings.name) == (ADDRESSES[0], "alpha")
    assert (own.listen, own.name) == ("unix:/tmp/x/s", "beta")


def test_a_host_on_another_machine_is_not_dialled_without_certificates(tmp_path: Path) -> None:
    error = refused(conductor, tmp_path, INSIDE[0], hosts=("alpha=192.168.1.5:7420", "beta=127.0.0.1:7420"))

    assert "hosts.alpha: '192.168.1.5:7420' is another machine, which needs TLS" in str(error)
    assert "hosts.beta" not in str(error)
    assert "conductor certs init" in error.hint


def test_flags_come_before_the_file_and_both_before_the_data_folder(tmp_path: Path) -> None:
    join(read_bundle(bundle_of(*CONDUCTOR), "x", NOW), TlsFolder.of(tmp_path))
    config = tmp_path / "c.toml"
    config.write_text('[tls]\ncert = "/pki/c.pem"\nkey = "/pki/k.pem"\nca = "/pki/ca.pem"\n')
    flags = {"cert": Path("/my/c.pem"), "key": None, "ca": None}
    own = conductor(tmp_path, OUTSIDE[0]).tls
    of_file = conductor(tmp_path, OUTSIDE[0], config=config).tls
    of_flags = conductor(tmp_path, OUTSIDE[0], config=config, tls=flags).tls
    of_host = load_settings(
        config, {"listen": OUTSIDE[0], "data": tmp_path, "name": "a", "tls_cert": Path("/my/c.pem")}
    )

    assert own.serving == TlsFolder.of(tmp_path).serving(own.serving.remedy if own.serving else "")
    assert own.calling is not None
    assert of_file.serving == of_file.calling
    expected = TlsFiles(Path("/pki/ca.pem"), Path("/my/c.pem"), Path("/pki/k.pem"), "")
    for tls in (of_flags, of_host.tls):
        assert tls.serving is not None
        assert (tls.serving.ca, tls.serving.certificate, tls.serving.key) == (
            expected.ca,
            expected.certificate,
            expected.key,
        )


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ("tls = 3", "tls is 3: it must be a table"),
        ('[tls]\ncert = "/c.pem"', "--tls-key, --tls-ca is not given"),
        ("[tls]\ncert = 3", "tls.cert is 3: it must be the path of a file"),
        ('[tls]\ncerts = "/c.pem"', "there is no setting 'tls.certs': did you mean 'cert'?"),
        ('[tls]\ncert = "~nobody-at-all/c.pem"', "there is no such home folder"),
    ],
)
def test_a_wrong_setting_is_named(table: str, part: str, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(table)

    assert part in str(refused(conductor, tmp_path, OUTSIDE[0], config=config))
    assert part in str(refused(load_settings, config, {"listen": OUTSIDE[0], "data": tmp_path, "name": "a"}))
