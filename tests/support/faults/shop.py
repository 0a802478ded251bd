"""What all cells of the matrix share: an authority and its certificate, made-up names, ports that lead nowhere."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

from faults.host_names import DOMAIN, Names, nowhere
from faults.stalls import watching_stalls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.host_names import Nowhere
    from faults.stalls import Stalls

_AUTHORITY = "authority.pem"
_SERVER = "server.pem"


@dataclass(frozen=True)
class Shop:
    """What all cells share.

    Attributes:
        names: where host names lead.
        nowhere: ports that lead nowhere.
        tls: what the proxies speak https with.
        ca_file: the authority behind it.
        folder: where the tills' folders are made.
        stalls: what the machine withheld from all that it runs.
    """

    names: Names
    nowhere: Nowhere
    tls: ssl.SSLContext
    ca_file: Path
    folder: Path
    stalls: Stalls


def make_certificates(folder: Path) -> trustme.CA:
    """Make an authority, and a certificate of it for all made-up names, in a folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / _AUTHORITY))
    authority.issue_cert(f"*.{DOMAIN}").private_key_and_cert_chain_pem.write_to_path(str(folder / _SERVER))
    return authority


@contextlib.contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """Open a shop with the certificates in a folder.

    For the time of the block every look-up of the process is ours.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / _SERVER)
    names, former = Names(), socket.getaddrinfo
    with nowhere() as ports, watching_stalls() as stalls:
        socket.getaddrinfo = names
        try:
            yield Shop(names, ports, tls, folder / _AUTHORITY, folder, stalls)
        finally:
            socket.getaddrinfo = former
