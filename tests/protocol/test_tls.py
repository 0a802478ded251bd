"""Https: whom a till sends its key to, and what it says when it does not."""

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

from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import Fault, NotSent, Unclear
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from payme_plugin.paymego.client import PaymeGoClient
    from tests.protocol.conftest import Peer, Script, Time, Visit

    ClientOf = Callable[..., PaymeGoClient]
    Serve = Callable[..., Peer]

pytestmark = pytest.mark.floor

RECEIPT = "65f0a1b2c3d4e5f601234567"
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


def tls_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def refusal(client: PaymeGoClient, time: Time, fault: Fault = Fault.TLS) -> NotSent:
    with pytest.raises(NotSent) as caught:
        client.begin("receipts.pay", receipts.pay(RECEIPT, Secret("0027161293")), time.after(5)).answer()
    assert caught.value.fault is fault
    return caught.value


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_sites_own_authority_is_trusted_by_ca_file(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, authority: trustme.CA, ca_file: Path, host: str
) -> None:
    peer = serve(honest, tls=tls_of(authority.issue_cert(host)))
    client = client_of(f"https://{host}:{peer.port}/api", ca_file)
    client.warm_up()
    for _ in range(3):
        client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()
    assert (len(peer.requests), peer.connections) == (3, 1)


def test_the_sites_own_authority_stands_in_the_place_of_the_systems(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, authority: trustme.CA, ca_file: Path
) -> None:
    peer = serve(honest, tls=tls_of(authority.issue_cert("localhost")))
    client = client_of(peer.url, ca_file)
    client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()
    assert client._tls is not None
    assert client._tls.get().cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("named", ["payme.example", "127.0.0.2"])
def test_a_certificate_for_another_host_is_refused(
    serve: Serve,
    client_of: ClientOf,
    time: Time,
    honest: Script,
    authority: trustme.CA,
    ca_file: Path,
    host: str,
    named: str,
) -> None:
    peer = serve(honest, tls=tls_of(authority.issue_cert(named)))
    failure = refusal(client_of(f"https://{host}:{peer.port}/api", ca_file), time)
    assert "made out to another" in failure.explanation
    assert peer.received == b""


def test_a_common_name_does_not_stand_in_for_the_name(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.timezone.utc)
    nameless = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - DAY, now + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    own = tmp_path / "own.pem"
    own.write_bytes(nameless + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    peer = serve(honest, tls=context)
    assert "made out to another" in refusal(client_of(peer.url, own), time).explanation
    assert peer.received == b""


def test_an_expired_certificate_is_refused(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, authority: trustme.CA, ca_file: Path
) -> None:
    yesterday = dt.datetime.now(dt.timezone.utc) - DAY
    peer = serve(honest, tls=tls_of(authority.issue_cert("localhost", not_after=yesterday)))
    assert "has expired" in refusal(client_of(peer.url, ca_file), time).explanation
    assert peer.received == b""


def test_a_certificate_of_a_strange_authority_is_refused(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, ca_file: Path
) -> None:
    peer = serve(honest, tls=tls_of(trustme.CA().issue_cert("localhost")))
    assert "does not trust" in refusal(client_of(peer.url, ca_file), time).explanation
    assert peer.received == b""


def test_without_ca_file_only_the_systems_authorities_are_trusted(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, authority: trustme.CA
) -> None:
    peer = serve(honest, tls=tls_of(authority.issue_cert("localhost")))
    assert "does not trust" in refusal(client_of(peer.url), time).explanation
    assert peer.received == b""


def test_a_self_signed_certificate_is_refused(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, ca_file: Path, tmp_path: Path
) -> None:
    signer = trustme.CA()
    signer.private_key_pem.write_to_path(str(tmp_path / "own.pem"))
    signer.cert_pem.write_to_path(str(tmp_path / "own.pem"), append=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    peer = serve(honest, tls=context)
    assert "self-signed" in refusal(client_of(peer.url, ca_file), time).explanation
    assert peer.received == b""


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_server_that_speaks_only_an_older_protocol_is_refused(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, authority: trustme.CA, ca_file: Path
) -> None:
    context = tls_of(authority.issue_cert("localhost"))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    peer = serve(honest, tls=context)
    assert "older than TLS 1.2" in refusal(client_of(peer.url, ca_file), time).explanation
    assert peer.received == b""


def test_a_server_without_tls_on_that_port_is_refused(
    serve: Serve, client_of: ClientOf, time: Time, ca_file: Path
) -> None:
    def plain(visit: Visit) -> None:
        visit.receive()
        visit.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    peer = serve(plain)
    failure = refusal(client_of(f"https://localhost:{peer.port}/api", ca_file), time)
    assert "does not speak TLS" in failure.explanation
    assert b"X-Auth" not in peer.received


@pytest.mark.parametrize("how", ["reset", "closed"])
def test_a_handshake_that_is_cut_off_is_the_networks_fault_not_the_certificates(
    serve: Serve, client_of: ClientOf, time: Time, ca_file: Path, how: str
) -> None:
    def breaking_off(visit: Visit) -> None:
        visit.receive()
        if how == "reset":
            visit.reset()

    peer = serve(breaking_off)
    failure = refusal(client_of(f"https://localhost:{peer.port}/api", ca_file), time, Fault.NOT_CONNECTED)
    assert "cut off in the TLS handshake" in failure.explanation


def test_garbage_after_the_request_is_unclear_not_unsent(
    serve: Serve, client_of: ClientOf, time: Time, authority: trustme.CA, ca_file: Path
) -> None:
    def garbling(visit: Visit) -> None:
        visit.request()
        raw = visit.connection.detach()
        with socket.socket(fileno=raw) as connection:
            connection.sendall(b"this is no TLS record")

    peer = serve(garbling, tls=tls_of(authority.issue_cert("localhost")))
    pending = client_of(peer.url, ca_file).begin(
        "receipts.pay", receipts.pay(RECEIPT, Secret("0027161293")), time.after(5)
    )
    with pytest.raises(Unclear):
        pending.answer()
    assert len(peer.requests) == 1


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_can_not_be_used_is_named(
    client_of: ClientOf, time: Time, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "site.pem"
    if content is not None:
        path.write_text(content)
    client = client_of("https://localhost:9/api", path)
    client.warm_up()
    assert f"caFile {path} can't be used" in refusal(client, time).explanation
