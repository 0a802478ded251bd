"""The demonstration as a document; `.ci/run` plays it for a person, by the README's first command."""

from __future__ import annotations

from tests.cli.conftest import payme


def test_the_demo_as_a_document_has_every_check() -> None:
    shown = payme("demo", "--json")

    assert (shown.code, shown.err) == (0, "")
    document = shown.document
    assert document["ok"] is True
    titles = [act["title"] for act in document["acts"]]
    assert len(titles) == len(set(titles)) >= 8
    checks = [check["text"] for act in document["acts"] for check in act["checks"]]
    assert "the slip is printed twice, after the receipt has closed" in checks
    assert "intent -> paying -> paid -> recorded" in checks
    assert "one cancellation waits in the journal" in checks
    for story in ("The power fails", "A cancel", "A full refund", "A part of a sale", "Marked goods"):
        assert any(title.startswith(story) for title in titles), story
    assert "the process was killed (signal 9)" in checks
    assert "after the restart the result is PAID" in checks
    assert "the till acknowledges it, and is ready" in checks
    assert "after the restart the result is UNKNOWN" in checks
    assert "the till asks again, and the result is PENDING" in checks
    assert "now the result is PAID" in checks
    assert "the payment is an orphan: its cancellation waits" in checks
    assert "the rule is partial-refund" in checks
    assert checks[-3:-1] == ["no cancellation is left to deliver", "every sale agrees"]
