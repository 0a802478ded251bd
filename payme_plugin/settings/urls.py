"""The addresses among the settings: the server's, the proxy's and the broker's."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from payme_plugin.conf_file import UnacceptableError
from payme_plugin.locale import message
from payme_plugin.secret import Secret

_MAX_CHARACTERS = 2_000
_HTTP_PORT = 80
_PRINTABLE_ASCII = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_PASSWORD = re.compile(r"^([A-Za-z]*://)?.*@", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """An HTTP proxy; ``str`` masks its login.

    Attributes:
        host: its name or address.
        port: its port.
        login: ``user:password``, or None.
    """

    host: str
    port: int
    login: Secret | None

    def __str__(self) -> str:
        login = "" if self.login is None else f"{self.login}@"
        return f"http://{login}{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def server_address(text: str) -> str:
    """Return the server's address as written, with ``/api`` if it has no path.

    Raises:
        ValueError: no request can go there.
    """
    parts = _split(text, {"http", "https"})
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise UnacceptableError(message("settings.address_extras"))
    return text if parts.path.strip("/") else text.rstrip("/") + "/api"


def proxy_address(text: str) -> ProxyAddress:
    """Return the proxy.

    Raises:
        ValueError: it is not the address of an HTTP proxy.
    """
    parts = _split(text, {"http"})
    login, at, _ = parts.netloc.rpartition("@")
    user, _, password = map(unquote, login.partition(":"))
    if parts.path not in {"", "/"} or "?" in text or "#" in text or (at and not user):
        raise ValueError
    secret = Secret(f"{user}:{password}") if at else None
    return ProxyAddress(parts.hostname or "", parts.port or _HTTP_PORT, secret)


def queue_address(text: str) -> str:
    """Return the broker's address as written, or an empty string for none.

    Raises:
        ValueError: it is not the address of a broker.
    """
    if text:
        _split(text, {"amqp", "amqps"})
    return text


def is_loopback(address: str) -> bool:
    """Return whether an address names this machine: ``localhost``, ``127.x.x.x`` or ``::1``."""
    host = host_of(address)
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


def host_of(address: str) -> str:
    """Return the host that an address names, in small letters."""
    return (urlsplit(address).hostname or "").rstrip(".")


def _split(text: str, schemes: set[str]) -> SplitResult:
    if len(text) > _MAX_CHARACTERS or not _PRINTABLE_ASCII.fullmatch(text) or "\\" in text:
        raise ValueError
    parts = urlsplit(text)
    if parts.scheme not in schemes:
        raise UnacceptableError(message("settings.scheme", schemes=", ".join(f"{each}://" for each in sorted(schemes))))
    if not _is_host(parts) or parts.port == 0 or parts.netloc.endswith(":"):
        raise ValueError
    return parts


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if "[" in parts.netloc or ":" in host:
        return "[" in parts.netloc and ipaddress.IPv6Address(host) is not None
    return _HOST_NAME.fullmatch(host) is not None
