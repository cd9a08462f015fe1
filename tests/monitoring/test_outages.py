"""What a process logs of a lost broker: one line for each loss, without a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import redis
from celery.worker.consumer import consumer as celery_consumer

from telemetry.monitoring import outages
from telemetry.monitoring.outages import Outage

REFUSED = redis.ConnectionError("Error 111 connecting to broker:6379. Connection refused.")


@pytest.fixture(autouse=True)
def no_outage() -> Iterator[None]:
    """Nothing is lost before a test, and after it."""
    outages.outage.over()
    outages.install()
    yield
    outages.outage.over()


def celery_tells(error: Exception = REFUSED) -> None:
    """What a worker logs of one loss."""
    consumer = logging.getLogger("celery.worker.consumer.consumer")
    consumer.warning("%s (%r)", vars(celery_consumer)["CONNECTION_RETRY"], error)
    consumer.error(
        vars(celery_consumer)["CONNECTION_ERROR"], "redis://broker:6379/0", error, "Trying again in 2.00 seconds... (1/None)"
    )
    try:
        raise error
    except type(error):
        logging.getLogger("celery.beat").exception("Message Error: %s", ["stack"])


def test_a_loss_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    celery_tells()
    celery_tells()
    (record,) = caplog.records
    assert record.getMessage() == f"the broker is lost, and tried again until it answers: {REFUSED}"
    assert (record.levelname, record.exc_info) == ("WARNING", None)


def test_the_next_loss_is_told_of_too(caplog: pytest.LogCaptureFixture) -> None:
    celery_tells()
    outages.outage.over()
    celery_tells()
    assert len(caplog.records) == 2


def test_without_a_word_of_its_end_it_is_over_after_a_while() -> None:
    outage = Outage()
    times_s = (0.0, 100.0, 210.0, 331.0)
    assert [outage.is_news(now_s) for now_s in times_s] == [True, False, False, True]


def test_other_errors_are_told_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    celery_tells(ValueError("bug"))
    assert len(caplog.records) == 3
    assert caplog.records[2].exc_info


def test_late_events_are_no_drift_of_clocks(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("celery.events.state").warning("Substantial drift from %s may mean clocks are out of sync.", "w@h")
    assert caplog.records == []
