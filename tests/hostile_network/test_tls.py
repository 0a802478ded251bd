"""3. TLS: whom a till sends its key to, told by whole sales at a till with the plugin in service.

Whoever is not Payme gets no byte of a request, the buyer is not charged, the cashier reads why, and the log names the
cause; no secret is seen anywhere. ``tests/protocol/test_tls.py`` shows the same of the client alone, and more of
its corners.
"""

from __future__ import annotations

import datetime as dt
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from faults.host_names import DOMAIN, Counted
from faults.stage import AMOUNT
from faults.tap import Tap
from hookspecs import PaymentStatus
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.shop import Shop
    from faults.stage import Stage

pytestmark = pytest.mark.floor

RU = Texts("ru")
WILDCARD = f"*.{DOMAIN}"
DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.timezone.utc)


def server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def own_certificate(tmp_path: Path, *, authority: bool = False) -> tuple[ssl.SSLContext, Path]:
    """Return a server with a certificate that it signed itself for the tills' names, and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "own")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(WILDCARD)]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    path = tmp_path / "own.pem"
    path.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path


@pytest.fixture
def till_of(new_stage: Callable[..., Stage]) -> Callable[..., Stage]:
    """Make tills whose server speaks TLS as told; a busy machine is given its time."""

    def make(tls: ssl.SSLContext | None = None, *, by_address: bool = False, **given: object) -> Stage:
        return new_stage(tls=tls, by_address=by_address, settings={"timeout": 5, **given})

    return make


def assert_refused(stage: Stage, cause: str, caplog: pytest.LogCaptureFixture, port: int | None = None) -> None:
    """Sell through a tap on the wire, and see that nothing of a request went over it."""
    with Tap(stage.proxy.port if port is None else port) as tap:
        stage.shop.names.lead(stage.host_name, lambda: [tap.port])
        result = stage.pay(stage.code())
        heard = tap.heard

    assert (result.status, result.cancellation_queued) == (PaymentStatus.REFUSED, False)
    assert result.message == RU(Text.PAYMENT_NO_CONNECTION_TLS)
    assert cause in caplog.text
    assert stage.proxy.arrivals == []
    for secret in (stage.sandbox.pos_key, stage.sandbox.pos_id, "receipts.create"):
        assert secret.encode() not in heard
    assert stage.sandbox.requests == ()


def test_the_sites_own_authority_is_trusted_by_ca_file(till_of: Callable[..., Stage]) -> None:
    stage = till_of()

    assert stage.pay(stage.code()).status is PaymentStatus.PAID
    assert stage.sandbox.held() == AMOUNT


def test_an_expired_certificate(
    till_of: Callable[..., Stage], authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    expired = authority.issue_cert(WILDCARD, not_before=NOW - 2 * DAY, not_after=NOW - DAY)

    assert_refused(till_of(server(expired)), "it has expired: is the till's clock right?", caplog)


def test_a_certificate_of_tomorrow(
    till_of: Callable[..., Stage], authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    early = authority.issue_cert(WILDCARD, not_before=NOW + DAY, not_after=NOW + 2 * DAY)

    assert_refused(till_of(server(early)), "it is not valid yet: is the till's clock right?", caplog)


def test_a_self_signed_certificate(
    till_of: Callable[..., Stage], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context, _ = own_certificate(tmp_path)

    assert_refused(till_of(context), "it is self-signed (a site's own certificate is named by caFile)", caplog)


def test_a_self_signed_certificate_that_ca_file_names_is_trusted(till_of: Callable[..., Stage], tmp_path: Path) -> None:
    context, path = own_certificate(tmp_path, authority=True)
    stage = till_of(context, caFile=path)

    assert stage.pay(stage.code()).status is PaymentStatus.PAID


@pytest.mark.parametrize("name", ["payme.example", f"a.b.{DOMAIN}", DOMAIN, "127.0.0.1"])
def test_a_certificate_for_another_host(
    till_of: Callable[..., Stage], authority: trustme.CA, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert_refused(till_of(server(authority.issue_cert(name))), "it was made out to another host", caplog)


def test_a_certificate_of_an_authority_that_the_till_does_not_trust(
    till_of: Callable[..., Stage], caplog: pytest.LogCaptureFixture
) -> None:
    stranger = trustme.CA().issue_cert(WILDCARD)

    assert_refused(till_of(server(stranger)), "an authority that this till does not trust", caplog)


def test_without_ca_file_the_sites_own_authority_is_a_stranger(
    till_of: Callable[..., Stage], caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(till_of(caFile=""), "does not trust", caplog)


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_a_server_that_speaks_only_an_older_protocol(
    till_of: Callable[..., Stage], authority: trustme.CA, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    context = server(authority.issue_cert(WILDCARD))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.set_ciphers("ALL:@SECLEVEL=0")

    assert_refused(till_of(context), "the server speaks only protocols older than TLS 1.2", caplog)


def test_a_server_that_speaks_no_tls(till_of: Callable[..., Stage], caplog: pytest.LogCaptureFixture) -> None:
    stage = till_of()

    assert_refused(stage, "the server does not speak TLS on this port", caplog, stage.sandbox.port)


def test_an_ip_address_as_host_is_verified_as_an_address(
    till_of: Callable[..., Stage], authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    right = till_of(server(authority.issue_cert("127.0.0.1")), by_address=True)
    wrong = till_of(server(authority.issue_cert("127.0.0.2", WILDCARD)), by_address=True)

    assert right.pay(right.code()).status is PaymentStatus.PAID
    assert wrong.pay(wrong.code()).message == RU(Text.PAYMENT_NO_CONNECTION_TLS)
    assert "it was made out to another" in caplog.text
    assert wrong.proxy.arrivals == []


@pytest.mark.parametrize("url", ["http://checkout.paycom.uz/api", "http://10.0.0.7/api", f"http://till.{DOMAIN}/api"])
def test_plain_http_beyond_loopback_is_refused_without_leave(
    till_of: Callable[..., Stage], shop: Shop, url: str
) -> None:
    asked = Counted([shop.nowhere.refusing])
    shop.names.lead(f"till.{DOMAIN}", asked)
    stage = till_of(url=url)

    result = stage.pay(stage.code())

    assert result.status is PaymentStatus.REFUSED
    assert "url" in result.message
    assert "url" in stage.host.notices["payme.settings"]
    assert asked.times == 0
