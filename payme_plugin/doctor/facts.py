"""What the walk to Payme brings back; plain data, which ``server`` judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import Fault, NotSent, ServerError, Unclear
from payme_plugin.paymego.protocols import Answer

if TYPE_CHECKING:
    from payme_plugin.doctor.finding import Check

__all__ = ["Certificate", "KeyFacts", "Outcome", "ServerDate", "ServerFacts", "Stop"]

Outcome = Answer | ServerError | NotSent | Unclear
"""What may come of a question."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the way ended.

    Attributes:
        check: the step.
        fault: the kind of its failure.
        explanation: the same in words, none of which a server chose.
        verify_code: OpenSSL's number of what is wrong with the certificate; None where it is not that.
    """

    check: Check
    fault: Fault
    explanation: str
    verify_code: int | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that was verified, and how it was shown.

    Attributes:
        protocol: ``TLSv1.3`` say.
        expires_at_ms: its end, or the first end in its chain where that is known, Unix milliseconds.
        is_chain: the ends of all certificates up to the authority's are known.
    """

    protocol: str
    expires_at_ms: int
    is_chain: bool


@dataclass(frozen=True, slots=True)
class ServerDate:
    """The server's clock beside ours.

    Attributes:
        theirs_ms: the header ``Date``, Unix milliseconds, cut to a second.
        ours_ms: the machine's clock halfway between question and answer.
        doubt_ms: half of the time between them.
    """

    theirs_ms: int
    ours_ms: int
    doubt_ms: int


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What came of two questions with the kassa's key, one behind the other on one connection.

    Attributes:
        outcome: the first answer, or why there was none.
        first_ms: how long it took, with connecting.
        second_ms: how long the second took; None where it was not asked, or not answered.
    """

    outcome: Outcome
    first_ms: float
    second_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """How far the way to Payme could be walked; a step behind ``stop`` was not taken.

    Attributes:
        host: the name or address of the server, or of the proxy on the way to it.
        port: its port.
        is_proxied: they are those of a proxy.
        is_https: the way is encrypted.
        timeout_ms: what one step may take.
        walked_at_ms: when the walk began, Unix milliseconds of the machine.
        addresses: what the name stands for.
        look_up_ms: how long that took to find out.
        connect_ms: how long a connection took, or None.
        certificate: the server's, or None.
        date: its clock beside ours, or None.
        key: what came of the key, or None.
        stop: where the way ended; None: nowhere.
    """

    host: str
    port: int
    is_https: bool
    timeout_ms: int
    walked_at_ms: int
    is_proxied: bool = False
    addresses: tuple[str, ...] = ()
    look_up_ms: float = 0.0
    connect_ms: float | None = None
    certificate: Certificate | None = None
    date: ServerDate | None = None
    key: KeyFacts | None = None
    stop: Stop | None = None
