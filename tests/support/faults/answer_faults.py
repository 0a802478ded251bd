"""What a hostile network does to an answer: each fault is a function of a connection and the answer that would go.

The answer is the true one after the effect, else a bait: what a till would like best. Neither may be taken as it comes.
"""

from __future__ import annotations

import functools
import gzip
from typing import TYPE_CHECKING

from faults.proxy import Phase
from faults.proxy_line import DRIP_PAUSE_S

if TYPE_CHECKING:
    from faults.proxy import Strike
    from faults.proxy_line import Line

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_FLOOD_PAUSE_S = 0.01
_MEBIBYTE = 1024 * 1024


def silent(line: Line, answer: bytes) -> None:
    """Say nothing."""
    line.until_gone()


def reset(line: Line, answer: bytes) -> None:
    """Break off without an answer."""
    line.reset()


def closed(line: Line, answer: bytes) -> None:
    """Close in good order without an answer."""


def reset_in_the_answer(line: Line, answer: bytes) -> None:
    """Break off in the middle of the answer."""
    line.send(_whole(answer)[: -len(answer) // 2])
    line.reset()


def dripping_status_line(line: Line, answer: bytes) -> None:
    """Send the answer byte by byte, from its first."""
    line.drip(_whole(answer))


def dripping_headers(line: Line, answer: bytes) -> None:
    """Send byte by byte from the first header on."""
    line.send(_OK)
    line.drip(_whole(answer)[len(_OK) :])


def dripping_body(line: Line, answer: bytes) -> None:
    """Send byte by byte from the body on."""
    line.send(_whole(answer)[: -len(answer)])
    line.drip(answer)


def half_closed(line: Line, answer: bytes) -> None:
    """Send half of an answer of no stated length, say that nothing more comes, and go on listening."""
    line.send(_OK + b"Connection: close\r\n\r\n" + answer[: len(answer) // 2])
    line.half_close()
    line.until_gone()


def half_closed_unanswered(line: Line, answer: bytes) -> None:
    """Say that nothing comes, and go on listening."""
    line.half_close()
    line.until_gone()


def cut_by_content_length(line: Line, answer: bytes) -> None:
    """Promise one byte more than comes."""
    line.reply(answer, length=len(answer) + 1)


def cut_short_by_content_length(line: Line, answer: bytes) -> None:
    """Promise less than comes: the till sees only the beginning."""
    line.reply(answer, length=len(answer) - 1)


def chunk_cut(line: Line, answer: bytes) -> None:
    """End in the middle of a chunk."""
    line.send(_CHUNKED + b"400\r\n" + answer)


def last_chunk_missing(line: Line, answer: bytes) -> None:
    """Send the answer in one whole chunk, and no end."""
    line.send(_CHUNKED + f"{len(answer):x}\r\n".encode() + answer + b"\r\n")


def chunk_broken(line: Line, answer: bytes) -> None:
    """Give a chunk a length that is no number."""
    line.send(_CHUNKED + b"zz\r\n" + answer + b"\r\n0\r\n\r\n")


def chunk_of_negative_size(line: Line, answer: bytes) -> None:
    """Give a chunk a size below zero, which some read as: all that ever comes; and let nothing more come."""
    line.send(_CHUNKED + b"-1\r\n" + answer)
    line.until_gone()


def dripping_chunks(line: Line, answer: bytes) -> None:
    """Send the answer in chunks of a byte, one by one."""
    line.send(_CHUNKED)
    for byte in answer:
        line.send(b"1\r\n" + bytes([byte]) + b"\r\n")
        if line.over.wait(DRIP_PAUSE_S):
            return


def gzip_bomb(line: Line, answer: bytes) -> None:
    """Send what inflates to 64 MiB."""
    line.reply(_bomb(), headers="Content-Encoding: gzip\r\n")


def body_of_100_mb(line: Line, answer: bytes) -> None:
    """Send 100 MB."""
    line.send(_OK + b"Content-Length: 104857600\r\n\r\n")
    for _ in range(100):
        line.send(b" " * _MEBIBYTE)


def chunks_without_end(line: Line, answer: bytes) -> None:
    """Send a mebibyte in each chunk, and never the last one."""
    line.send(_CHUNKED)
    while not line.over.is_set():
        line.send(b"100000\r\n" + b" " * _MEBIBYTE + b"\r\n")


def endless_headers(line: Line, answer: bytes) -> None:
    """Never come to the end of the headers."""
    line.send(_OK)
    while not line.over.is_set():
        line.send(b"X-More: and more\r\n" * 1000)


def endless_header(line: Line, answer: bytes) -> None:
    """Never come to the end of one header."""
    line.send(_OK + b"X-More: ")
    while not line.over.is_set():
        line.send(b"x" * 65536)


def flood_of_continues(line: Line, answer: bytes) -> None:
    """Say that the answer is about to come, again and again."""
    while not line.over.wait(_FLOOD_PAUSE_S):
        line.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def early_hints(line: Line, answer: bytes) -> None:
    """Give hints instead of the answer."""
    line.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)


def http_1_0(line: Line, answer: bytes) -> None:
    """Answer as an old server does: without a length, ended by the connection."""
    line.send(b"HTTP/1.0 200 OK\r\n\r\n" + answer)


def wrong_status_line(line: Line, answer: bytes) -> None:
    """Answer in a protocol that looks like HTTP."""
    line.send(b"ICY 200 OK\r\n\r\n" + answer)


def no_status_line(line: Line, answer: bytes) -> None:
    """Answer with the body alone, as HTTP 0.9 did."""
    line.send(answer)


STRIKES: dict[str, Strike] = {
    "accepted and silent": silent,
    "reset after the request is read": reset,
    "closed without an answer": closed,
    "reset in the middle of the answer": reset_in_the_answer,
    "dripping status line": dripping_status_line,
    "dripping headers": dripping_headers,
    "dripping body": dripping_body,
    "half-closed without an answer": half_closed_unanswered,
    "half-closed in the answer": half_closed,
    "answer shorter than Content-Length": cut_by_content_length,
    "answer longer than Content-Length": cut_short_by_content_length,
    "cut in a chunk": chunk_cut,
    "last chunk missing": last_chunk_missing,
    "broken chunk": chunk_broken,
    "chunk of negative size": chunk_of_negative_size,
    "dripping chunks": dripping_chunks,
    "chunks without end": chunks_without_end,
    "gzip bomb": gzip_bomb,
    "body of 100 MB": body_of_100_mb,
    "endless headers": endless_headers,
    "one endless header": endless_header,
    "flood of 100 Continue": flood_of_continues,
    "103 Early Hints alone": early_hints,
    "HTTP/1.0": http_1_0,
    "wrong status line": wrong_status_line,
    "no status line": no_status_line,
}
"""The faults of the network that begin when a request has arrived, by name."""

_HARMLESS = frozenset({"HTTP/1.0"})


def phases_of(fault: str) -> tuple[Phase, ...]:
    """Return when a fault may come: one that leaves its answer whole would make a bait the truth."""
    return (Phase.AFTER,) if fault in _HARMLESS else (Phase.BEFORE, Phase.DURING, Phase.AFTER)


def _whole(answer: bytes) -> bytes:
    return _OK + f"Content-Length: {len(answer)}\r\n\r\n".encode() + answer


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(64 * _MEBIBYTE))
