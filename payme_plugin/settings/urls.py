"""The addresses among the settings: the server's, the proxy's and the broker's."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from payme_plugin.secret import Secret
from payme_plugin.settings.remarks import UnacceptableError

__all__ = [
    "ProxyAddress",
    "is_loopback",
    "is_plain_http",
    "masked_address",
    "proxy_address",
    "queue_address",
    "server_address",
]

_MAX_CHARACTERS = 2_000
_HTTP_PORT = 80
_PRINTABLE_ASCII = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_PASSWORD = re.compile(r"^([A-Za-z]*://)?.*@", re.DOTALL)

SERVER_ALLOWED = "an address like https://checkout.paycom.uz/api"
PROXY_ALLOWED = "an address like http://proxy:3128 or http://user:password@proxy:3128"
QUEUE_ALLOWED = "nothing, or an address like amqp://user:password@host:5672/vhost"


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """An HTTP proxy; ``str`` masks its login.

    Attributes:
        host: its name or address.
        port: its port.
        login: ``user:password``; None: the proxy asks for none.
    """

    host: str
    port: int
    login: Secret | None

    def __str__(self) -> str:
        login = "" if self.login is None else f"{self.login}@"
        return f"http://{login}{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def server_address(text: str) -> str:
    """Return the server's address as written, with ``/api`` where it has no path.

    Raises:
        UnacceptableError: it is no address that a request can go to.
    """
    parts = _split(text, {"http", "https"}, SERVER_ALLOWED)
    if "@" in parts.netloc:
        raise UnacceptableError(f"a name or password in the address is not allowed; allowed is {SERVER_ALLOWED}")
    if "?" in text or "#" in text:
        raise UnacceptableError(f"'?' and '#' are not allowed; allowed is {SERVER_ALLOWED}")
    return text if parts.path.strip("/") else text.rstrip("/") + "/api"


def proxy_address(text: str) -> ProxyAddress:
    """Return the proxy.

    Raises:
        UnacceptableError: it is not the address of an HTTP proxy.
    """
    parts = _split(text, {"http"}, PROXY_ALLOWED)
    if parts.path not in {"", "/"} or "?" in text or "#" in text:
        raise UnacceptableError(f"a path is not allowed; allowed is {PROXY_ALLOWED}")
    login, at, _ = parts.netloc.rpartition("@")
    user, _, password = map(unquote, login.partition(":"))
    if at and not user:
        raise UnacceptableError(f"the user is missing; allowed is {PROXY_ALLOWED}")
    secret = Secret(f"{user}:{password}") if at else None
    return ProxyAddress(parts.hostname or "", parts.port or _HTTP_PORT, secret)


def queue_address(text: str) -> str:
    """Return the broker's address as written; empty for none.

    Raises:
        UnacceptableError: it is no address of a broker.
    """
    if text:
        _split(text, {"amqp", "amqps"}, QUEUE_ALLOWED)
    return text


def is_loopback(address: str) -> bool:
    """Return whether an address names this machine: ``localhost``, ``127.x.x.x`` or ``::1``."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_plain_http(address: str) -> bool:
    """Return whether requests to an address travel in clear."""
    return urlsplit(address).scheme == "http"


def masked_address(text: str) -> str:
    """Return an address without the name and password that may stand in it."""
    return _PASSWORD.sub(r"\1***@", text)


def _split(text: str, schemes: set[str], allowed: str) -> SplitResult:
    if len(text) > _MAX_CHARACTERS or not _PRINTABLE_ASCII.fullmatch(text) or "\\" in text:
        raise UnacceptableError(
            f"allowed is {allowed}, at most {_MAX_CHARACTERS} characters of ASCII without blanks and backslashes"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UnacceptableError(f"its host or port can't be read; allowed is {allowed}") from None
    if parts.scheme not in schemes:
        raise UnacceptableError(f"it must begin with {' or '.join(f'{scheme}://' for scheme in sorted(schemes))}")
    if not _is_host(parts) or port == 0 or parts.netloc.endswith(":"):
        raise UnacceptableError(f"its host or port can't be read; allowed is {allowed}")
    return parts


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if "[" in parts.netloc or ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return "[" in parts.netloc
    return _HOST_NAME.fullmatch(host) is not None
