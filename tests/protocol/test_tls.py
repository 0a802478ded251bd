"""TLS: which servers get the key, and the error for every other one."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from payme_plugin.paymego.errors import Fault, NotSent, Unclear
from tests.protocol.conftest import begin_pay, check, failure_of, tls_of

if TYPE_CHECKING:
    from pathlib import Path

    from faults.server import Connection
    from payme_plugin.paymego.client import PaymeGoClient
    from tests.protocol.conftest import ClientOf, Serve

pytestmark = pytest.mark.floor

DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.timezone.utc)
ANOTHER_HOST = "it was made out to another"


def refusal(client: PaymeGoClient, fault: Fault = Fault.TLS) -> str:
    """Return why a request was not sent."""
    failure = failure_of(begin_pay(client))
    assert isinstance(failure, NotSent)
    assert failure.fault is fault
    return failure.explanation


def self_signed(tmp_path: Path, *names: str) -> Path:
    """Return a certificate, with its key, that was made out to ``localhost`` as its common name, and to some names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    path = tmp_path / "own.pem"
    path.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_sites_own_authority_is_trusted_by_ca_file_in_the_place_of_the_systems(
    serve: Serve, client_of: ClientOf, authority: trustme.CA, ca_file: Path, host: str
) -> None:
    peer = serve(tls=tls_of(authority.issue_cert(host)))
    client = client_of(f"https://{host}:{peer.port}/api", ca_file)
    client.warm_up()
    assert [check(client) for _ in range(3)] == [4, 4, 4]
    assert (len(peer.requests), peer.connections) == (3, 1)
    assert client._tls is not None
    assert client._tls.get().cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(
    ("host", "certificate", "reason"),
    [
        ("localhost", {"names": ["payme.example"]}, ANOTHER_HOST),
        ("localhost", {"names": ["127.0.0.1"]}, ANOTHER_HOST),
        ("127.0.0.1", {"names": ["localhost", "127.0.0.2"]}, ANOTHER_HOST),
        ("localhost", {"names": ["*.localhost"]}, ANOTHER_HOST),
        ("localhost", {"not_after": NOW - DAY}, "it has expired: is the till's clock right?"),
        ("localhost", {"not_before": NOW + DAY}, "it is not valid yet: is the till's clock right?"),
    ],
)
def test_a_certificate_for_another_host_or_time_is_refused_before_a_byte_leaves(
    serve: Serve,
    client_of: ClientOf,
    authority: trustme.CA,
    ca_file: Path,
    host: str,
    certificate: dict[str, list[str] | dt.datetime],
    reason: str,
) -> None:
    times = {name: value for name, value in certificate.items() if name != "names"}
    names = certificate.get("names", ["localhost"])
    assert isinstance(names, list)
    peer = serve(tls=tls_of(authority.issue_cert(*names, **times)))  # type: ignore[arg-type]
    assert reason in refusal(client_of(f"https://{host}:{peer.port}/api", ca_file))
    assert peer.received == b""


def test_a_self_signed_certificate_is_trusted_only_if_ca_file_names_it_and_only_by_its_alternative_name(
    serve: Serve, client_of: ClientOf, ca_file: Path, tmp_path: Path
) -> None:
    def peer_with(own: Path) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own)
        return serve(tls=context).url

    own = self_signed(tmp_path, "localhost")
    url = peer_with(own)
    assert "it is self-signed (a site's own certificate is named by caFile)" in refusal(client_of(url, ca_file))
    assert check(client_of(url, own)) == 4
    own = self_signed(tmp_path)
    assert ANOTHER_HOST in refusal(client_of(peer_with(own), own))


@pytest.mark.parametrize("names_ca_file", [True, False])
def test_a_certificate_of_an_authority_that_the_till_does_not_trust_is_refused(
    serve: Serve, client_of: ClientOf, authority: trustme.CA, ca_file: Path, names_ca_file: bool
) -> None:
    signer = trustme.CA() if names_ca_file else authority
    peer = serve(tls=tls_of(signer.issue_cert("localhost")))
    assert "does not trust" in refusal(client_of(peer.url, ca_file if names_ca_file else None))
    assert peer.received == b""


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_a_server_that_speaks_only_an_older_protocol_is_refused(
    serve: Serve, client_of: ClientOf, authority: trustme.CA, ca_file: Path, version: str
) -> None:
    context = tls_of(authority.issue_cert("localhost"))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.set_ciphers("ALL:@SECLEVEL=0")
    peer = serve(tls=context)
    assert "the server speaks only protocols older than TLS 1.2" in refusal(client_of(peer.url, ca_file))
    assert peer.received == b""


def test_a_server_without_tls_on_that_port_is_refused(serve: Serve, client_of: ClientOf, ca_file: Path) -> None:
    def plain(connection: Connection) -> None:
        connection.receive()
        connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    peer = serve(plain)
    assert "the server does not speak TLS" in refusal(client_of(f"https://localhost:{peer.port}/api", ca_file))
    assert b"X-Auth" not in peer.received


@pytest.mark.parametrize("how", ["reset", "closed"])
def test_a_handshake_that_is_cut_off_is_the_networks_fault_not_the_certificates(
    serve: Serve, client_of: ClientOf, ca_file: Path, how: str
) -> None:
    def breaking_off(connection: Connection) -> None:
        connection.receive()
        if how == "reset":
            connection.reset()

    client = client_of(f"https://localhost:{serve(breaking_off).port}/api", ca_file)
    assert "cut off in the TLS handshake" in refusal(client, Fault.NOT_CONNECTED)


def test_garbage_after_the_request_is_unclear_not_unsent(
    serve: Serve, client_of: ClientOf, authority: trustme.CA, ca_file: Path
) -> None:
    def garbling(connection: Connection) -> None:
        connection.read_request()
        with socket.socket(fileno=connection.socket.detach()) as raw:
            raw.sendall(b"this is no TLS record")

    peer = serve(garbling, tls=tls_of(authority.issue_cert("localhost")))
    assert isinstance(failure_of(begin_pay(client_of(peer.url, ca_file))), Unclear)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_can_not_be_used_is_named(client_of: ClientOf, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "site.pem"
    if content is not None:
        path.write_text(content)
    client = client_of("https://localhost:9/api", path)
    client.warm_up()
    assert f"caFile {path} can't be used" in refusal(client)
