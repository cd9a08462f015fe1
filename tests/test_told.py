"""From a fault in a CSV file to a mail, and its end: every process of the pipeline at work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from telemetry.readings.dump import HEADER
from tests.fixtures.mailbox import Mailbox, Webhook
from tests.fixtures.processes import Start
from tests.ports import free_port
from tests.waiting import eventually


def rows(xid: int, *, temperature: int = 40) -> str:
    """A scrape of one GPU, now."""
    return "".join(
        f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ},DCGM_FI_DEV_{metric},"
        f"3,nvidia3,GPU-1,NVIDIA H100,node-7,c,trainer-0,research,{value},\n"
        for metric, value in (("XID_ERRORS", xid), ("GPU_TEMP", temperature))
    )


@pytest.mark.slow
def test_a_fault_in_a_file_becomes_a_mail_and_so_does_its_end(
    start: Start,
    start_collector: Callable[..., object],
    start_edge: Callable[..., object],
    tmp_path: Path,
    mailbox: Mailbox,
    webhook: Webhook,
) -> None:
    file = tmp_path / "node-7.csv"
    file.write_text(HEADER.decode() + rows(0))
    start_collector()
    start_edge(file)
    start(
        *("telemetry", "exporter", "--port", str(free_port())),
        TELEMETRY_ROLE="central",
        TELEMETRY_NOTIFY=f"{mailbox.url} {webhook.url}",
        TELEMETRY_NOTIFY_QUIET_S="1",
        TELEMETRY_EXPORTER_INTERVAL_S="0.5",
    )
    with file.open("a") as growing:
        growing.write(rows(79))
    eventually(lambda: mailbox.mails, 60, what="a mail tells of the fault")
    assert mailbox.subjects() == ["GPU node-7:3: XID 79: GPU has fallen off the bus"]
    assert "research" in mailbox.text(0)
    assert "restart the machine" in mailbox.text(0)
    with file.open("a") as growing:
        growing.write(rows(0))
    eventually(lambda: mailbox.mails[1:], 60, what="a mail tells that it is over")
    assert mailbox.subjects()[1:] == ["GPU node-7:3: over: XID 79: GPU has fallen off the bus"]
    eventually(lambda: webhook.documents[1:], what="the web server has both")
    assert [document["title"] for document in webhook.documents] == mailbox.subjects()
