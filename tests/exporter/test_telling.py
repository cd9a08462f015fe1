"""The exporter tells people: from a finding in the database to a mail and a webhook, and that it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from telemetry.exporter import health
from telemetry.exporter.health import Teller
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from tests.fixtures.health import Read
from tests.fixtures.mailbox import Mailbox, Webhook
from tests.fixtures.services import Query
from tests.waiting import eventually


@pytest.fixture
def told(settings: Settings, mailbox: Mailbox, webhook: Webhook) -> Settings:
    """Settings with both addresses and no quiet time."""
    return replace(settings, notify=(mailbox.url, webhook.url), notify_quiet_s=0.0)


@pytest.fixture
def tellers(settings: Settings) -> Iterator[Callable[[Settings], Teller]]:
    """Make tellers, each as in a process of its own."""
    with ExitStack() as made:

        def make(told: Settings) -> Teller:
            engine = make_engine(settings, application="teller")
            made.callback(engine.dispose)
            teller = Teller(engine, told)
            made.callback(teller.close)
            return teller

        yield make


def test_a_fault_is_told_once_and_its_end_too(
    tellers: Callable[[Settings], Teller], told: Settings, read: Read, mailbox: Mailbox, webhook: Webhook, query: Query
) -> None:
    teller = tellers(told)
    teller()
    assert mailbox.mails == []
    read(("XID_ERRORS", "a", 0, 100, 79), ("GPU_TEMP", "a", 0, 100, 50), pod="p", namespace="n")
    teller()
    teller()
    assert mailbox.subjects() == ["GPU a:0: XID 79: GPU has fallen off the bus"]
    assert "restart the machine" in mailbox.text(0)
    assert "had by namespace n, pod p" in mailbox.text(0)
    assert mailbox.mails[0]["To"] == "ops@example.org"
    assert [document["title"] for document in webhook.documents] == mailbox.subjects()
    read(("XID_ERRORS", "a", 0, 50, 0))
    teller()
    teller()
    assert mailbox.subjects()[1:] == ["GPU a:0: over: XID 79: GPU has fallen off the bus"]
    assert query("SELECT count(*) FROM findings WHERE told_end_at IS NOT NULL") == [(1,)]


def test_what_is_old_or_only_a_note_is_not_told(
    tellers: Callable[[Settings], Teller], told: Settings, read: Read, mailbox: Mailbox
) -> None:
    read(("XID_ERRORS", "a", 0, 9000, 79), ("XID_ERRORS", "a", 1, 60, 13), ("XID_ERRORS", "a", 0, 60, 79))
    teller = tellers(told)
    teller()
    assert mailbox.mails == []
    teller.close()
    other = tellers(replace(told, notify_severity="note"))
    eventually(lambda: other() and mailbox.mails)
    assert mailbox.subjects() == ["GPU a:1: XID 13: graphics engine exception"]


def test_one_process_tells_and_another_when_it_is_gone(
    tellers: Callable[[Settings], Teller], told: Settings, read: Read, mailbox: Mailbox
) -> None:
    first, second = tellers(told), tellers(told)
    first()
    read(("XID_ERRORS", "a", 0, 60, 79))
    second()
    assert mailbox.mails == []
    first.close()
    # The server takes a moment to notice.
    eventually(lambda: second() and mailbox.mails)


def test_a_mail_that_is_refused_is_tried_again(
    tellers: Callable[[Settings], Teller], told: Settings, read: Read, mailbox: Mailbox
) -> None:
    read(("XID_ERRORS", "a", 0, 60, 79))
    mailbox.is_refusing = True
    teller = tellers(told)
    teller()
    mailbox.is_refusing = False
    teller.close()
    # As after a restart; other tests know of pauses.
    again = tellers(told)
    eventually(lambda: again() and mailbox.mails)
    assert len(mailbox.mails) == 1


def test_gpus_are_counted_by_state(engine: Engine, settings: Settings, read: Read) -> None:
    read(("XID_ERRORS", "a", 0, 60, 79), ("XID_ERRORS", "a", 1, 60, 0))
    (family,) = health.look(engine, settings)
    counts = {sample.labels["state"]: sample.value for sample in family.samples}
    assert counts == {"faulty": 1, "silent": 0, "degraded": 0, "unknown": 0, "well": 1}
