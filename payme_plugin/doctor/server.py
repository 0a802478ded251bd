"""What is said of the way to Payme: each step that was walked, and where it ended."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from payme_plugin.doctor.finding import Check, Finding, Level, Remark, Unchecked
from payme_plugin.paymego import codes
from payme_plugin.paymego.errors import Fault, ServerError
from payme_plugin.paymego.protocols import Answer
from payme_plugin.settings.urls import is_loopback

if TYPE_CHECKING:
    from payme_plugin.doctor.facts import Outcome, ServerDate, ServerFacts, Stop
    from payme_plugin.paymego.errors import NotSent, Unclear

__all__ = ["SERVER_CHECKS", "check_server"]

SERVER_CHECKS = (Check.NAME, Check.CONNECTION, Check.TLS, Check.CLOCK, Check.KEY, Check.LATENCY)

_SLOW_STEP_MS = 1_000
_SLOW_ANSWER_MS = 2_000
_DAY_MS = 86_400_000
_FEW_DAYS = 14
_CLOCK_WARNING_MS = 30_000
_CLOCK_FAULT_MS = 3_600_000
_CUT_MS = 1_000
"""What a header ``Date`` leaves out: the part of a second."""

_NO_SUCH_RECEIPT = frozenset({-31602, -31003, -31008})
"""Codes for a receipt that is not there: whoever hears one was let in."""

_WRONG_KEY = -32504
_UNKNOWN_KASSA = -31601

# OpenSSL's numbers of what may be wrong with a certificate (X509_V_ERR_*).
_CERTIFICATE_REMEDIES = {
    9: "Set the till's clock.",
    10: "Look at the till's clock. Where it is right, whoever runs the server must renew the certificate.",
    **dict.fromkeys(
        (2, 18, 19, 20, 21),
        "Bring the package ca-certificates up to date. Where the site has an authority of its own, name its "
        "certificates in caFile. Else somebody listens in on the way: tell those who run the network.",
    ),
    **dict.fromkeys((62, 64), "Look at url: it must have the name that the certificate was made out to."),
}


def check_server(facts: ServerFacts) -> list[Remark]:
    """Judge every step of the way; what lies behind its end is unchecked."""
    said: list[Remark] = [_check_name(facts)]
    if facts.addresses:
        said.append(_check_connection(facts))
    if facts.connect_ms is not None:
        said.append(_check_tls(facts))
    if _is_greeted(facts):
        said += [_check_clock(facts.date), *_check_key(facts)]
    told = {each.check for each in said}
    stop = facts.stop
    reason = "the step before it failed" if stop is None else f"the way to the server ends at: {stop.check.value}"
    return said + [Unchecked(check, reason) for check in SERVER_CHECKS if check not in told]


def _is_greeted(facts: ServerFacts) -> bool:
    return facts.connect_ms is not None and (not facts.is_https or facts.certificate is not None)


def _check_name(facts: ServerFacts) -> Finding:
    if not facts.addresses:
        text = f"{_first(facts, 'The server is not found')}: {_why(facts.stop)}."
        remedy = (
            f"Look at {_setting(facts)}, at the network cable or modem, and at the name servers in /etc/resolv.conf."
        )
        return Finding(Check.NAME, Level.FAULT, text, remedy)
    if facts.addresses == (facts.host,):
        return Finding(Check.NAME, Level.OK, f"{facts.host} is an address, no name has to be looked up.")
    text = f"{facts.host} is {', '.join(facts.addresses)} ({facts.look_up_ms:.0f} ms)."
    if facts.look_up_ms > _SLOW_STEP_MS:
        return Finding(Check.NAME, Level.WARNING, text, "Does the first name server in /etc/resolv.conf answer?")
    return Finding(Check.NAME, Level.OK, text)


def _check_connection(facts: ServerFacts) -> Finding:
    if facts.connect_ms is None:
        text = f"{_first(facts, 'The server is not reached')}: {_why(facts.stop)}."
        remedy = f"Look at {_setting(facts)}. A firewall must let the till out to port {facts.port} of {facts.host}."
        return Finding(Check.CONNECTION, Level.FAULT, text, remedy)
    text = f"{'The proxy ' * facts.is_proxied}{facts.host} port {facts.port} answers ({facts.connect_ms:.0f} ms)."
    if facts.connect_ms > _SLOW_STEP_MS:
        return Finding(Check.CONNECTION, Level.WARNING, text, "The network is slow: look at the modem or the Wi-Fi.")
    return Finding(Check.CONNECTION, Level.OK, text)


def _check_tls(facts: ServerFacts) -> Remark:
    if not facts.is_https:
        if not facts.is_proxied and is_loopback(f"http://{_bracketed(facts.host)}"):
            return Unchecked(Check.TLS, "url is plain http to this machine")
        text = "url is plain http: everybody on the way can read the kassa's key."
        return Finding(Check.TLS, Level.WARNING, text, "Let url begin with https:// and take allowPlainHttp out.")
    certificate, stop = facts.certificate, facts.stop
    if certificate is None:
        remedy = _CERTIFICATE_REMEDIES.get(
            (stop.verify_code or 0) if stop else 0, f"Look at {_setting(facts)} and its port."
        )
        return Finding(Check.TLS, Level.FAULT, f"No safe connection: {_why(stop)}.", remedy)
    left_days = (certificate.expires_at_ms - facts.walked_at_ms) // _DAY_MS
    end = f"{datetime.fromtimestamp(certificate.expires_at_ms / 1000, tz=timezone.utc):%Y-%m-%d}"
    subject, rest = (
        ("the certificates up to the authority's are verified and", "")
        if certificate.is_chain
        else ("the certificate is verified and", " (the server's own; this Python does not tell its authorities')")
    )
    text = f"{certificate.protocol}; {subject} good for {left_days} more days, to {end}{rest}."
    if left_days < _FEW_DAYS:
        remedy = "Whoever runs the server should have renewed it by now; ask before it ends."
        return Finding(Check.TLS, Level.WARNING, text, remedy)
    return Finding(Check.TLS, Level.OK, text)


def _check_clock(date: ServerDate | None) -> Remark:
    if date is None:
        return Unchecked(Check.CLOCK, "the server told no date")
    ahead_ms = date.ours_ms - (date.theirs_ms + _CUT_MS // 2)
    apart_ms = max(0, abs(ahead_ms) - date.doubt_ms - _CUT_MS // 2)
    if apart_ms < _CLOCK_WARNING_MS:
        return Finding(Check.CLOCK, Level.OK, "The till's clock agrees with the server's.")
    side = "ahead of" if ahead_ms > 0 else "behind"
    text = f"The till's clock is {_span(apart_ms)} {side} the server's."
    level = Level.FAULT if apart_ms >= _CLOCK_FAULT_MS else Level.WARNING
    return Finding(Check.CLOCK, level, text, "Set the till's clock and its time zone, and let it keep time by NTP.")


def _check_key(facts: ServerFacts) -> list[Remark]:
    key = facts.key
    if key is None:
        # Only a client that could not be made leaves it out.
        return []
    latency = (
        Unchecked(Check.LATENCY, "the server gave no answer")
        if key.second_ms is None
        else _check_latency(key.first_ms, key.second_ms, facts.timeout_ms)
    )
    return [_judged(key.outcome), latency]


def _judged(outcome: Outcome) -> Finding:
    """Judge what came of the question about a receipt that can't exist."""
    if isinstance(outcome, Answer):
        return Finding(Check.KEY, Level.OK, "Payme accepts the kassa's key.")
    if isinstance(outcome, ServerError):
        return _judged_code(outcome.code)
    if outcome.fault is Fault.HTTP_STATUS:
        remedy = "Look at url: its path is /api at Payme."
    elif outcome.fault in {Fault.NOT_JSON, Fault.WRONG_SHAPE, Fault.TOO_LARGE, Fault.FOREIGN_ANSWER}:
        remedy = "Look at url. A network that asks for a password first (Wi-Fi) answers in the server's place."
    else:
        remedy = "Look at the network, and try again."
    return Finding(Check.KEY, Level.FAULT, f"Payme gives no usable answer: {_why(outcome)}.", remedy)


def _judged_code(code: int) -> Finding:
    entry = codes.find(code)
    shown = f"error {code}" if entry is None else f"error {code}: {entry.meaning}"
    if code in _NO_SUCH_RECEIPT:
        return Finding(Check.KEY, Level.OK, "Payme accepts the kassa's key.")
    if code == _WRONG_KEY:
        remedy = (
            "Compare posId and posKey with the kassa's in the Payme cabinet; url must be the server they are for: "
            "a test kassa has another one."
        )
        return Finding(Check.KEY, Level.FAULT, f"Payme refuses the kassa's key ({shown}).", remedy)
    if code == _UNKNOWN_KASSA:
        text, remedy = f"Payme does not serve this kassa ({shown}).", "Ask Payme for the state of the kassa."
        return Finding(Check.KEY, Level.FAULT, text, remedy)
    text = f"Whether the key is accepted can't be told: Payme answers with {shown}."
    return Finding(Check.KEY, Level.WARNING, text, "Try again in some minutes; if it stays, ask Payme.")


def _check_latency(first_ms: float, second_ms: float, timeout_ms: int) -> Finding:
    text = f"An answer takes {second_ms:.0f} ms, with a new connection {first_ms:.0f} ms."
    if second_ms > min(_SLOW_ANSWER_MS, timeout_ms / 2):
        remedy = f"The network or Payme is slow; a payment takes several answers, each within {timeout_ms // 1000} s."
        return Finding(Check.LATENCY, Level.WARNING, text, remedy)
    return Finding(Check.LATENCY, Level.OK, text)


def _why(failure: Stop | NotSent | Unclear | None) -> str:
    if failure is None:
        return "it is not known why"
    if failure.fault is Fault.TIME_OVER:
        return "no answer within timeout"
    # What to do about it stands in the remedy.
    return failure.explanation.removesuffix(": is the till's clock right?")


def _first(facts: ServerFacts, words: str) -> str:
    """Return words about the server, or about the proxy on the way to it."""
    return words.replace("server", "proxy") if facts.is_proxied else words


def _setting(facts: ServerFacts) -> str:
    return "proxy" if facts.is_proxied else "url"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _span(span_ms: int) -> str:
    for unit_ms, name in ((_DAY_MS, "days"), (3_600_000, "h"), (60_000, "min")):
        if span_ms >= 2 * unit_ms:
            return f"{span_ms // unit_ms} {name}"
    return f"{span_ms // 1_000} s"
