"""Certificates of an operator's own PKI, with a CA in between and RSA keys, serve as docs/certificates.md says. Keeps K3."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from conductor.v1 import pool_service_pb2, pool_service_pb2_grpc
from servicekit.tls.credentials import WatchedFiles, channel_credentials, require_own
from servicekit.tls.diagnosis import Caller, diagnose
from servicekit.tls.files import TlsFiles, write_whole
from servicekit.tls.identity import Kind
from tests.kit.tls_servers import ID, running_servers

BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


class Pki:
    """A root, a CA below it, and the files of what that issues: chains of two, and the root alone to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root_key, self._key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        self._root = self._signed("Root", "Root", self._root_key, self._root_key, is_ca=True)
        self._middle = self._signed("Issuing", "Root", self._key, self._root_key, is_ca=True)

    def files(self, uri: str, *names: str, role: str = "") -> TlsFiles:
        key = rsa.generate_private_key(65537, 2048)
        leaf = self._signed("leaf", "Issuing", key, self._key, uri=uri, names=names, role=role)
        stem = uri.rpartition("/")[2]
        files = TlsFiles(self._folder / "root.pem", self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        write_whole(files.ca, self._root.public_bytes(Encoding.PEM))
        write_whole(files.certificate, leaf.public_bytes(Encoding.PEM) + self._middle.public_bytes(Encoding.PEM))
        write_whole(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        return files

    @staticmethod
    def _signed(
        subject: str,
        issuer: str,
        key: rsa.RSAPrivateKey,
        by: rsa.RSAPrivateKey,
        *,
        is_ca: bool = False,
        uri: str = "",
        names: tuple[str, ...] = (),
        role: str = "",
    ) -> x509.Certificate:
        now, own = datetime.now(UTC), [x509.NameAttribute(NameOID.COMMON_NAME, subject)]
        own += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, role)] if role else []
        builder = x509.CertificateBuilder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
            x509.Name(own),
            key.public_key(),
            x509.random_serial_number(),
            now - timedelta(hours=1),
            now + timedelta(days=1),
        ).add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        if uri:
            others = [x509.DNSName(name) for name in names]
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), *others]), critical=False
            ).add_extension(x509.ExtendedKeyUsage(BOTH), critical=False)
        return builder.sign(by, SHA256())


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def test_services_and_callers_of_an_own_pki_let_each_other_in(pki: Pki, tmp_path: Path) -> None:
    conductor = pki.files(f"conductor://home/conductor/{ID}", "conductor.home.invalid", "study.lan")
    host = pki.files("conductor://home/host/alpha", "alpha.home.host.invalid")
    ann = pki.files("conductor://home/client/ann", role="operator")
    require_own(WatchedFiles(conductor), Kind.CONDUCTOR, ID, "clientAuth")
    request = pool_service_pb2.ListHostsRequest()
    with running_servers(tmp_path) as servers:
        served = servers.conductor(conductor)
        for address, name, caller, code in (
            (served, "conductor.home.invalid", ann, "OK"),
            (served, "study.lan", ann, "OK"),
            (served, "study.lan", host, "PERMISSION_DENIED"),
            # A host serves other methods: the conductor is let in, and the client is not.
            (servers.host(host), "alpha.home.host.invalid", conductor, "UNIMPLEMENTED"),
        ):
            options = [("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1)]
            with grpc.secure_channel(address, channel_credentials(caller.read()), options) as channel:
                try:
                    pool_service_pb2_grpc.PoolServiceStub(channel).ListHosts(request, timeout=10)
                    met = "OK"
                except grpc.RpcError as error:
                    met = error.code().name
            material = caller.read()

            assert met == code
            assert diagnose(address, Caller(material.ca, material.certificate, material.key, name)) is None
