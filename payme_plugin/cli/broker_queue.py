"""What is at a chain's broker, for ``payme queue list``, and ``payme queue parked``: messages that wait for people."""

from __future__ import annotations

import hashlib
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from payme_plugin.cli import output
from payme_plugin.cli.command import Group
from payme_plugin.cli.files import command_log, has_log
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import CommandFailed, ExitCode, Refusal, UsageFault, age_in_words, age_of, echo, uzs
from payme_plugin.cli.params import BROKER, REASON
from payme_plugin.delivery.broker import AccessRefused, Broker, BrokerError, BrokerRefuses
from payme_plugin.delivery.chain_messages import (
    EXPLANATION,
    PARKED,
    PARKED_AT,
    ChainMessage,
    Malformed,
    Queues,
    UnknownVersion,
    decode,
)
from payme_plugin.locale import message
from payme_plugin.log import Log
from payme_plugin.paymego import codes
from payme_plugin.settings import LoadedSettings
from payme_plugin.settings.parsers import masked_address
from payme_plugin.till import stderr_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from payme_plugin.delivery.broker import Received

_log = Log()

_MOST_SHOWN = 100
_DIGEST_DIGITS = 16

broker_option = click.option("--broker", type=BROKER, envvar="PAYME_WORKER_BROKER", metavar="URL")
parked = Group("parked")


def at_broker(options: GlobalOptions, given: str | None) -> dict[str, Any] | None:
    """Return the document of the queues at the broker, or of why it can't be asked; None if there is no broker."""
    url, _ = _address(options, given)
    if url is None:
        return None
    document: dict[str, Any] = {"url": masked_address(url), "queues": [], "error": None}
    try:
        with _opened(options, given) as broker:
            document["queues"] = [_queue_document(broker, name) for name in Queues().arguments()]
    except CommandFailed as error:
        document["error"] = error.format_message()
    return document


def echo_at_broker(document: dict[str, Any], *, is_first: bool) -> None:
    """Print what ``at_broker`` returned."""
    if not is_first:
        echo()
    if document["error"] is not None:
        output.fault(document["error"])
        return
    echo(message("cli.queue_at_broker", broker=document["url"]))
    cells = []
    for each in document["queues"]:
        age = "-" if each["age_s"] is None else age_in_words(each["age_s"])
        cells.append((each["name"], str(each["messages"]), str(each["consumers"]), age))
    output.echo_table(("queue", "messages", "consumers", "age"), cells, right={1, 2, 3})


def _queue_document(broker: Broker, name: str) -> dict[str, object]:
    messages, consumers = broker.size(name)
    age_s = None
    # A look counts as a delivery, and a queue with consumers is being emptied anyway.
    with suppress(AccessRefused):  # a till's user may count messages, but not read them
        if messages and not consumers and (head := broker.get(name)) is not None:
            age_s = _age_s(head)  # it goes back when the connection is closed
    return {"name": name, "messages": messages, "consumers": consumers, "age_s": age_s}


@parked.command("list")
@broker_option
@click.option("--limit", type=click.IntRange(1), default=_MOST_SHOWN, show_default=True)
@pass_options
def list_(options: GlobalOptions, broker: str | None, limit: int) -> None:
    """List parked messages, oldest first."""
    documents: list[dict[str, Any]] = []

    def show(received: Received) -> bool:
        documents.append(_document(received))
        return False

    with _opened(options, broker) as opened:
        number, _ = opened.size(PARKED)
        _each_parked(opened, min(number, limit), show)
    if options.json:
        output.echo_document(documents)
        return
    if not documents:
        echo(message("cli.parked_none"))
        return
    cells = []
    for each in documents:
        age = "-" if each["age_s"] is None else age_in_words(each["age_s"])
        amount = "-" if each["amount"] is None else uzs(each["amount"])
        why = ": ".join(filter(None, (each["reason"], each["explanation"])))
        cells.append((each["id"], age, each["till"] or "-", each["pos_id"] or "-", amount, why))
    output.echo_table(("id", "age", "till", "account", "amount", "reason"), cells, right={1, 4})
    if number > len(documents):
        echo(message("cli.parked_more", number=number - len(documents)))


@parked.command()
@click.argument("parked_id", metavar="[ID]", required=False)
@click.option("--all", "is_all", is_flag=True)
@broker_option
@pass_options
def retry(options: GlobalOptions, parked_id: str | None, is_all: bool, broker: str | None) -> None:
    """Give parked messages to the central workers again."""
    if (parked_id is None) != is_all:
        raise UsageFault(message("cli.parked_id_or_all"))
    work = Queues().work
    retried: list[str] = []
    with _opened(options, broker) as opened:

        def publish(received: Received) -> bool:
            if not is_all and _id_of(received) != parked_id:
                return False
            opened.publish(work, received.body, received.message_id)
            retried.append(_id_of(received))
            return True

        _each_parked(opened, opened.size(PARKED)[0], publish)
    if parked_id is not None and not retried:
        raise Refusal(message("cli.not_parked", parked_id=parked_id))
    options.result = ExitCode.DONE
    if options.json:
        output.echo_document({"retried": retried})
    else:
        echo(message("cli.parked_retried", number=len(retried)))


@parked.command()
@click.argument("parked_id", metavar="ID")
@click.option("--reason", type=REASON, metavar="TEXT", required=True)
@broker_option
@pass_options
def close(options: GlobalOptions, parked_id: str, reason: str, broker: str | None) -> None:
    """Remove a parked message; its till goes on by itself."""
    closed: list[dict[str, Any]] = []

    def remove(received: Received) -> bool:
        if _id_of(received) != parked_id:
            return False
        closed.append(_document(received))
        return True

    with _opened(options, broker) as opened:
        _each_parked(opened, opened.size(PARKED)[0], remove)
    if not closed:
        raise Refusal(message("cli.not_parked", parked_id=parked_id))
    options.result = ExitCode.DONE
    with command_log(options.data_dir) if has_log(options.data_dir) else stderr_log():
        _log.warning("the parked message %s is closed by hand: %s", parked_id, reason)
    if options.json:
        output.echo_document(closed[0])
    elif closed[0]["till"] is None:
        echo(message("cli.parked_closed", parked_id=parked_id))
    else:
        echo(message("cli.parked_closed_at_till", parked_id=parked_id, till=closed[0]["till"]))


def _each_parked(broker: Broker, most: int, handle: Callable[[Received], bool]) -> None:
    """Show parked messages to ``handle``, oldest first; remove those for which it returns True.

    The others go back in their order when the connection is closed, also by a crash. More may be parked meanwhile:
    ``most`` bounds them.
    """
    for _ in range(most):
        received = broker.get(PARKED)
        if received is None:
            return
        if handle(received):
            broker.acknowledge(received)


def _document(received: Received) -> dict[str, Any]:
    found, explanation = _decoded(received), received.headers.get(EXPLANATION)
    names = "id till pos_id receipt_id cancellation_id payment_id amount cause attempts age_s reason explanation"
    return output.document_of(
        found,
        names,
        id=_id_of(received),
        age_s=_age_s(received),
        reason=received.park_reason,
        explanation=explanation if isinstance(explanation, str) else None,
    )


def _decoded(received: Received) -> ChainMessage | None:
    try:
        return decode(ChainMessage, received.body)
    except (Malformed, UnknownVersion):
        return None


def _id_of(received: Received) -> str:
    """Return the message's id, or a digest of its body if it has none that can be typed."""
    name = received.message_id
    return name if name and name.isprintable() else hashlib.sha256(received.body).hexdigest()[:_DIGEST_DIGITS]


def _age_s(received: Received) -> int | None:
    """Return the age of a message's cancellation, else the time since it was parked, else None."""
    found = _decoded(received)
    since = received.headers.get(PARKED_AT) if found is None else found.created_at
    return age_of(since) if isinstance(since, int) else None


def _address(options: GlobalOptions, given: str | None) -> tuple[str | None, Path | None]:
    """Return the broker's address, by default the setting ``queueUrl``, and the setting ``caFile``."""
    values = LoadedSettings({}, options.conf_file, codes).values
    return given or values.get("queue_url") or None, values.get("ca_file")


@contextmanager
def _opened(options: GlobalOptions, given: str | None) -> Iterator[Broker]:
    """Open the broker.

    Raises:
        UsageFault: there is none, or it refuses the command.
        Refusal: it can't be used now.
    """
    url, ca_file = _address(options, given)
    if url is None:
        raise UsageFault(message("cli.no_broker"))
    try:
        with closing(Broker(url, ca_file=ca_file)) as broker:
            yield broker
    except BrokerError as error:
        kind = UsageFault if isinstance(error, BrokerRefuses) else Refusal
        raise kind(message("cli.broker_failed", broker=masked_address(url), reason=error)) from error
