"""Libraries of others, each in a process of its own, against the same server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from tests.benchmarks import peer_process
from tests.benchmarks.measure import CLEAN, Skipped, fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "key of the account"
POS_ID = "65aa00112233445566778899"
PYTHON = os.environ.get("PAYME_BENCHMARK_PEER") or sys.executable
"""The Python that has the extra ``benchmarks``."""
_PROCESS = Path(peer_process.__file__)
_CODE = "1" * 18


@dataclass(frozen=True)
class Peer:
    """A library in its process.

    Attributes:
        name: its name and version.
    """

    name: str
    _process: subprocess.Popen[str]

    def _ask(self, line: str) -> float:
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answered is not None
        asked.write(f"{line}\n")
        asked.flush()
        return float(answered.readline())

    def create_and_pay(self) -> float:
        """Return the seconds of one create + pay."""
        return self._ask(f"pay {_CODE}")

    def sell(self, first: str) -> float:
        """Return the seconds of create, pay with a code of this first digit, and checks until the receipt is paid."""
        return self._ask(f"sale {first * 18}")


@contextmanager
def peer(library: str, url: str, authorities: Path | None = None) -> Iterator[Peer]:
    """Run a library; it trusts the authorities of the file.

    Raises:
        Skipped: it is not installed.
    """
    trusted = {"REQUESTS_CA_BUNDLE": str(authorities), "SSL_CERT_FILE": str(authorities)} if authorities else {}
    environment = {**CLEAN, **trusted}
    # payme-pkg prints each answer that was lost; what a library raises ends its process, and so the measurement.
    command = [PYTHON, "-I", str(_PROCESS), library, url, POS_ID, KEY]
    with subprocess.Popen(  # noqa: S603 - our own script
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        found = json.loads(process.stdout.readline())
        if "missing" in found:
            raise Skipped(f"{library}: {found['missing']}; pip install 'payme-plugin[benchmarks]'")
        yield Peer(found["name"], process)
        process.communicate(timeout=30)


def tls_files(folder: Path) -> tuple[Path, Path]:
    """Write the server's certificate with its key, and the authorities that clients trust; return both paths."""
    authority = trustme.CA()
    own, authorities = folder / "own.pem", folder / "authorities.pem"
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(own))
    # A shop trusts the public authorities, and its libraries read all of them; here ours is one more of them.
    if not has_library("certifi"):
        raise Skipped("no public authorities: certifi is missing; pip install 'payme-plugin[benchmarks]'")
    public = Path(fresh("import certifi; print(certifi.where())", python=PYTHON)).read_bytes()
    authorities.write_bytes(public + authority.cert_pem.bytes())
    return own, authorities


def has_library(name: str) -> bool:
    """Return whether the Python of the libraries of others has this one."""
    return fresh(f"from importlib.util import find_spec; print(bool(find_spec({name!r})))", python=PYTHON) == "True"
