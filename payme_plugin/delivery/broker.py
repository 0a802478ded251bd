"""A connection to RabbitMQ that publishes with confirms, and its errors. Only this module imports pika."""

from __future__ import annotations

import contextlib
import logging
import ssl
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from payme_plugin.delivery.chain_messages import OUTCOMES, REASON, ParkReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from payme_plugin.delivery.chain_messages import Queues

_DEFAULT_EXCHANGE = ""
_LONGEST_REASON = 200
_LONGEST_ID = 255
_CONNECT_S = 5.0
_BLOCKED_S = 10.0
_ANSWER_S = 10.0
_ACCESS_REFUSED, _NOT_FOUND, _OTHER_PROPERTIES, _NO_VIRTUAL_HOST = 403, 404, 406, 530


class BrokerError(Exception):
    """The broker can't be used; the text says why, without secrets."""


class BrokerAway(BrokerError):
    """The broker can't be reached, is blocked, or did not take a message. Try again later."""


class BrokerRefuses(BrokerError):
    """The broker, its certificate or this program does not allow it. An operator has to change something."""


class PikaMissing(BrokerRefuses):
    """The library of this module is not installed."""


class AccessRefused(BrokerRefuses):
    """The broker refuses the user, the password or the virtual host, or lacks a permission of the user."""


class CertificateRefused(BrokerRefuses):
    """The broker's certificate is not trusted."""


class OtherProperties(BrokerRefuses):
    """A queue or an exchange has other properties; its name is in the text."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message that a queue delivered, until it is acknowledged.

    Attributes:
        tag: its number on this connection.
        body: as it was published.
        message_id: its id, or an empty string.
        headers: its headers.
    """

    tag: int
    body: bytes
    message_id: str
    headers: Mapping[str, object]

    @property
    def park_reason(self) -> ParkReason | None:
        """Why it is parked; None if its headers name no reason."""
        deaths = self.headers.get("x-death")
        latest = deaths[0] if isinstance(deaths, list) and deaths else None
        if isinstance(latest, dict) and latest.get("reason") == "delivery_limit":
            return ParkReason.DELIVERY_LIMIT
        return next((each for each in ParkReason if each.value == self.headers.get(REASON)), None)


class Broker:
    """One connection to RabbitMQ; one thread uses it.

    Args:
        url: ``amqp://`` or ``amqps://``, with name and password.
        ca_file: the certificates to trust; None: the system's.
        heartbeat_s: after twice this time a silent broker counts as lost. It must be longer than the time for which
            the thread does other things.

    Raises:
        BrokerError: it can't be opened.
    """

    def __init__(self, url: str, *, ca_file: Path | None = None, heartbeat_s: int = 20) -> None:
        self._pika = _import_pika()
        with self._errors():
            parameters = self._pika.URLParameters(url)
            parameters.heartbeat = heartbeat_s
            parameters.connection_attempts = 1
            parameters.socket_timeout = parameters.stack_timeout = _CONNECT_S
            parameters.blocked_connection_timeout = _BLOCKED_S
            if parameters.ssl_options is not None:
                context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
                parameters.ssl_options = self._pika.SSLOptions(context, parameters.host)
            self._connection = self._pika.BlockingConnection(parameters)
        with self._request():
            self._open_channel()
        self._consumes = False

    def declare(self, queues: Queues) -> None:
        """Create the queues and exchanges, or verify that they are as they should be.

        For a user that may not create them, only verify that they exist.

        Raises:
            BrokerRefuses: one has other properties; its name is in the text.
            BrokerAway: the connection is lost.
        """
        # A till publishes to an exchange of its own: with the default exchange it could write to every queue.
        exchanges = {queues.work: "fanout", OUTCOMES: "topic"}
        with self._request():
            try:
                for name, arguments in queues.arguments().items():
                    self._channel.queue_declare(name, durable=True, arguments=arguments)
                for exchange, kind in exchanges.items():
                    self._channel.exchange_declare(exchange, kind, durable=True)
                self._channel.queue_bind(queues.work, queues.work)
            except self._pika.exceptions.ChannelClosedByBroker as error:
                if error.reply_code != _ACCESS_REFUSED:
                    raise
                self._open_channel()
                for name in queues.arguments():
                    self._channel.queue_declare(name, passive=True)
                for exchange in exchanges:
                    self._channel.exchange_declare(exchange, passive=True)

    def missing(self, queues: Queues) -> list[str]:
        """Return the names of the queues that the broker does not have; create none."""
        names = []
        with self._request():
            for name in queues.arguments():
                try:
                    self._channel.queue_declare(name, passive=True)
                except self._pika.exceptions.ChannelClosedByBroker as error:
                    if error.reply_code != _NOT_FOUND:
                        raise
                    self._open_channel()
                    names.append(name)
        return names

    def publish(
        self,
        routing_key: str,
        body: bytes,
        message_id: str,
        *,
        exchange: str = _DEFAULT_EXCHANGE,
        headers: Mapping[str, object] | None = None,
    ) -> None:
        """Publish a persistent message and wait until the broker has it.

        Args:
            routing_key: the queue, or the topic in ``exchange``.
            body: the message.
            message_id: its id.
            exchange: by default the one that brings a message to the queue of that name.
            headers: for an operator.

        An outcome that no till listens for is dropped without an error.

        Raises:
            BrokerError: it is not certain that the broker has the message.
        """
        properties = self._pika.BasicProperties(
            content_type="application/json",
            delivery_mode=2,
            message_id=message_id.encode()[:_LONGEST_ID].decode(errors="ignore"),
            headers=dict(headers or {}),
        )
        with self._request():
            self._channel.basic_publish(exchange, routing_key, body, properties, mandatory=exchange != OUTCOMES)

    def consume(self, queue: str, handle: Callable[[Received], None]) -> None:
        """Deliver the messages of a queue to ``handle``, one at a time, during ``wait``."""
        _skip_unreadable_headers(self._pika.data)
        with self._request():
            self._channel.basic_qos(prefetch_count=1)
            self._channel.basic_consume(queue, lambda *message: handle(_received(*message[1:])))
        self._consumes = True

    def listen(self, handle: Callable[[Received], None]) -> str:
        """Deliver outcomes to ``handle`` during ``wait``, from now on; return the queue, for ``bind``."""
        with self._request():
            name: str = self._channel.queue_declare("", exclusive=True).method.queue
            self._channel.basic_consume(name, lambda *message: handle(_received(*message[1:])), auto_ack=True)
        self._consumes = True
        return name

    def bind(self, queue: str, pos_id: str) -> None:
        """Let the outcomes of a merchant account come to a queue of ``listen``."""
        with self._request():
            self._channel.queue_bind(queue, OUTCOMES, pos_id)

    def get(self, queue: str) -> Received | None:
        """Take the next message of a queue, or return None if it is empty. Without ``acknowledge`` it stays there.

        Raises:
            AccessRefused: the user may not read the queue; the connection can still be used, and what it took is back.
            BrokerError: another reason.
        """
        _skip_unreadable_headers(self._pika.data)
        with self._request():
            try:
                method, properties, body = self._channel.basic_get(queue)
            except self._pika.exceptions.ChannelClosedByBroker:
                self._open_channel()
                raise
        return None if method is None else _received(method, properties, body)

    def acknowledge(self, message: Received) -> None:
        """Remove a delivered message from its queue."""
        with self._request():
            self._channel.basic_ack(message.tag)

    def size(self, queue: str) -> tuple[int, int]:
        """Return how many messages wait in a queue and how many consumers it has."""
        with self._request():
            found = self._channel.queue_declare(queue, passive=True).method
        return found.message_count, found.consumer_count

    def wait(self, seconds: float) -> None:
        """Handle what comes in for so many seconds, or until ``interrupt``.

        Raises:
            BrokerAway: the connection is lost, or the queue was deleted.
        """
        with self._errors():
            self._connection.process_data_events(time_limit=seconds)
        if self._consumes and not self._channel.consumer_tags:
            raise BrokerAway("the queue was deleted")

    def interrupt(self) -> None:
        """End the current ``wait``; any thread may call it."""
        with self._errors():
            self._connection.add_callback_threadsafe(lambda: None)

    def close(self) -> None:
        """Close the connection; messages that are not acknowledged go back to their queues."""
        with contextlib.suppress(BrokerError), self._request():
            self._connection.close()

    def _open_channel(self) -> None:
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()

    @contextlib.contextmanager
    def _request(self) -> Iterator[None]:
        with self._errors(), self._bounded():
            yield

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        """Close the connection after ten seconds, as after a missed heartbeat, because pika waits for ever.

        RabbitMQ 3.10 may never confirm what was published to a quorum queue while its node starts.
        """
        if not self._connection.is_open:
            yield
            return
        # Timers of BlockingConnection itself do not run while it waits for an answer.
        impl = self._connection._impl  # noqa: SLF001
        error = self._pika.exceptions.AMQPHeartbeatTimeout(f"no answer in {_ANSWER_S} s")
        timer = impl.ioloop.call_later(_ANSWER_S, lambda: impl._terminate_stream(error))  # noqa: SLF001
        try:
            yield
        finally:
            impl.ioloop.remove_timeout(timer)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise ``BrokerError`` for whatever pika and the sockets below it raise."""
        known = self._pika.exceptions
        try:
            yield
        except (known.UnroutableError, known.NackError) as error:
            raise BrokerAway("the broker did not take the message: its queue is missing or full") from error
        except self._pika.adapters.utils.connection_workflow.AMQPConnectorException:
            raise BrokerAway("RabbitMQ does not answer") from None
        except (known.AMQPError, OSError, ValueError) as error:
            causes = tuple(_causes(error))
            kind = next((kind for each in causes if (kind := self._refusal(each))), BrokerAway)
            raise kind(f"RabbitMQ: {_explanation(causes[-1])}") from None

    def _refusal(self, error: BaseException) -> type[BrokerRefuses] | None:
        """Return the class for an error that only an operator can end, or None."""
        known, code = self._pika.exceptions, getattr(error, "reply_code", None)
        if isinstance(error, ssl.SSLCertVerificationError):
            return CertificateRefused
        if isinstance(error, (known.ProbableAuthenticationError, known.ProbableAccessDeniedError)):
            return AccessRefused
        if code in {_ACCESS_REFUSED, _NO_VIRTUAL_HOST}:
            return AccessRefused
        if code == _OTHER_PROPERTIES:
            return OtherProperties
        return BrokerRefuses if isinstance(error, ValueError) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Return an error and what caused it; pika passes the cause of a failed connection as an argument."""
    yield error
    inner = [each for each in (error.__cause__, getattr(error, "exception", None), *error.args) if each is not error]
    for each in inner:
        if isinstance(each, BaseException):
            yield from _causes(each)
            return


def _explanation(error: BaseException) -> str:
    text = getattr(error, "reply_text", None) or str(error) or type(error).__name__
    return str(text)[:_LONGEST_REASON]


def _received(method: Any, properties: Any, body: bytes) -> Received:  # noqa: ANN401 - pika's classes
    # pika gives bytes for an id that is not UTF-8.
    return Received(method.delivery_tag, body, str(properties.message_id or ""), properties.headers or {})


def _import_pika() -> Any:  # noqa: ANN401 - a module without types in older versions
    try:
        import pika  # noqa: PLC0415 - only a till of a chain needs it
    except ImportError as error:
        raise PikaMissing("pika is not installed: install payme-plugin[broker] or python3-pika") from error
    # It would log each failed connection with a traceback; the caller logs one line.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    return pika


@cache
def _skip_unreadable_headers(data: Any) -> None:  # noqa: ANN401 - pika's module
    """Let pika return no headers if it can't read them, e.g. a time after the year 9999.

    Otherwise each connection that gets such a message would end.

    Only central workers and the command call it, in processes of their own: a host's pika stays as it is.
    """
    decode_table = data.decode_table

    def decode_or_skip(encoded: bytes, offset: int) -> tuple[Any, int]:
        try:
            return decode_table(encoded, offset)  # type: ignore[no-any-return]
        except (ArithmeticError, ValueError, OSError, RecursionError):
            return {}, offset + 4 + int.from_bytes(encoded[offset : offset + 4], "big")

    data.decode_table = decode_or_skip
