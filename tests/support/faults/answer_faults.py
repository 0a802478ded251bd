"""What a hostile network does to an answer: each fault is a function of a connection and the answer that would go.

The answer is the true one after the effect, else a made-up one. Neither may be taken as it comes.
"""

from __future__ import annotations

import functools
import gzip
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.proxy import AnswerFault
    from faults.server import Connection

DRIP_PAUSE_S = 0.4
"""From one dripping byte to the next: sooner than the tills' ``timeout`` of 1 s, which every single read may take.

No read is ever late, so nothing but the limit of the whole request ends it.
"""

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_FLOOD_PAUSE_S = 0.01
_MEBIBYTE = 1024 * 1024


def silent(connection: Connection, answer: bytes) -> None:
    """Say nothing."""
    connection.until_gone()


def reset(connection: Connection, answer: bytes) -> None:
    """Break off without an answer."""
    connection.reset()


def closed(connection: Connection, answer: bytes) -> None:
    """Close in good order without an answer."""


def reset_in_the_answer(connection: Connection, answer: bytes) -> None:
    """Break off in the middle of the answer."""
    connection.send(_whole(answer)[: -len(answer) // 2])
    connection.reset()


def dripping_status_line(connection: Connection, answer: bytes) -> None:
    """Send the answer byte by byte, from its first."""
    connection.drip(_whole(answer), DRIP_PAUSE_S)


def dripping_headers(connection: Connection, answer: bytes) -> None:
    """Send byte by byte from the first header on."""
    connection.send(_OK)
    connection.drip(_whole(answer)[len(_OK) :], DRIP_PAUSE_S)


def dripping_body(connection: Connection, answer: bytes) -> None:
    """Send byte by byte from the body on."""
    connection.send(_whole(answer)[: -len(answer)])
    connection.drip(answer, DRIP_PAUSE_S)


def half_closed(connection: Connection, answer: bytes) -> None:
    """Send half of an answer of no stated length, say that nothing more comes, and go on listening."""
    connection.send(_OK + b"Connection: close\r\n\r\n" + answer[: len(answer) // 2])
    connection.half_close()
    connection.until_gone()


def half_closed_unanswered(connection: Connection, answer: bytes) -> None:
    """Say that nothing comes, and go on listening."""
    connection.half_close()
    connection.until_gone()


def cut_by_content_length(connection: Connection, answer: bytes) -> None:
    """Promise one byte more than comes."""
    connection.reply(answer, length=len(answer) + 1)


def cut_short_by_content_length(connection: Connection, answer: bytes) -> None:
    """Promise less than comes: the till sees only the beginning."""
    connection.reply(answer, length=len(answer) - 1)


def chunk_cut(connection: Connection, answer: bytes) -> None:
    """End in the middle of a chunk."""
    connection.send(_CHUNKED + b"400\r\n" + answer)


def last_chunk_missing(connection: Connection, answer: bytes) -> None:
    """Send the answer in one whole chunk, and no end."""
    connection.send(_CHUNKED + f"{len(answer):x}\r\n".encode() + answer + b"\r\n")


def chunk_broken(connection: Connection, answer: bytes) -> None:
    """Give a chunk a length that is not a number."""
    connection.send(_CHUNKED + b"zz\r\n" + answer + b"\r\n0\r\n\r\n")


def chunk_of_negative_size(connection: Connection, answer: bytes) -> None:
    """Give a chunk a size below zero, which some read as: all that ever comes; and let nothing more come."""
    connection.send(_CHUNKED + b"-1\r\n" + answer)
    connection.until_gone()


def dripping_chunks(connection: Connection, answer: bytes) -> None:
    """Send the answer in chunks of a byte, one by one."""
    connection.send(_CHUNKED)
    connection.drip(b"".join(b"1\r\n%c\r\n" % byte for byte in answer), DRIP_PAUSE_S, size=6)


def gzip_bomb(connection: Connection, answer: bytes) -> None:
    """Send what inflates to 64 MiB."""
    connection.reply(_bomb(), headers="Content-Encoding: gzip\r\n")


def body_of_100_mb(connection: Connection, answer: bytes) -> None:
    """Send 100 MB."""
    connection.send(_OK + b"Content-Length: 104857600\r\n\r\n")
    for _ in range(100):
        connection.send(b" " * _MEBIBYTE)


def chunks_without_end(connection: Connection, answer: bytes) -> None:
    """Send a mebibyte in each chunk, and never the last one."""
    connection.send(_CHUNKED)
    while not connection.peer.stopping.is_set():
        connection.send(b"100000\r\n" + b" " * _MEBIBYTE + b"\r\n")


def endless_headers(connection: Connection, answer: bytes) -> None:
    """Never come to the end of the headers."""
    connection.send(_OK)
    while not connection.peer.stopping.is_set():
        connection.send(b"X-More: and more\r\n" * 1000)


def endless_header(connection: Connection, answer: bytes) -> None:
    """Never come to the end of one header."""
    connection.send(_OK + b"X-More: ")
    while not connection.peer.stopping.is_set():
        connection.send(b"x" * 65536)


def flood_of_continues(connection: Connection, answer: bytes) -> None:
    """Say that the answer is about to come, again and again."""
    while not connection.peer.stopping.wait(_FLOOD_PAUSE_S):
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def early_hints(connection: Connection, answer: bytes) -> None:
    """Give hints instead of the answer."""
    connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)


def http_1_0(connection: Connection, answer: bytes) -> None:
    """Answer as an old server does: without a length, ended by the connection."""
    connection.send(b"HTTP/1.0 200 OK\r\n\r\n" + answer)


def wrong_status_line(connection: Connection, answer: bytes) -> None:
    """Answer in a protocol that looks like HTTP."""
    connection.send(b"ICY 200 OK\r\n\r\n" + answer)


def no_status_line(connection: Connection, answer: bytes) -> None:
    """Answer with the body only, as HTTP 0.9 did."""
    connection.send(answer)


WIRE_FAULTS: dict[str, AnswerFault] = {
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
    "only 103 Early Hints": early_hints,
    "HTTP/1.0": http_1_0,
    "wrong status line": wrong_status_line,
    "no status line": no_status_line,
}
"""The faults of the network that begin when a request has arrived, by name."""


def _whole(answer: bytes) -> bytes:
    return _OK + f"Content-Length: {len(answer)}\r\n\r\n".encode() + answer


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(64 * _MEBIBYTE))
