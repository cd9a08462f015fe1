"""A message is read once: into a batch with its header, or into the reason why there is none."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.collector.messages import Readable, Unreadable, checked, read
from telemetry.readings import wire
from tests.batches import batch, key, readings

HEADER, PAYLOAD = wire.encode(batch(readings((key(), 0, 1.0))))


def test_a_sound_message_has_a_batch_and_its_header() -> None:
    match read((HEADER, PAYLOAD)):
        case Readable(header=header, batch=content, is_probe=False):
            assert header == HEADER == checked(HEADER)
            assert content.batch_id == "b1"
        case other:
            pytest.fail(f"{other}")


def test_a_batch_of_no_bytes_is_a_probe() -> None:
    content = read(wire.encode(batch(readings(), start=7, end=7)))
    assert isinstance(content, Readable)
    assert content.is_probe


@pytest.mark.parametrize(
    ("header", "payload", "kept"),
    [
        (HEADER, b"torn", HEADER),
        (HEADER, None, HEADER),
        (None, PAYLOAD, None),
        ({**HEADER, "edge": "a\0b"}, PAYLOAD, None),
        ({**HEADER, "version": wire.VERSION + 1}, PAYLOAD, None),
    ],
)
def test_an_unreadable_message_keeps_a_header_that_names_its_batch(header: Any, payload: Any, kept: Any) -> None:
    content = read((header, payload))
    assert isinstance(content, Unreadable)
    assert content.header == kept
    assert content.message == (header, payload)


def test_an_error_of_the_surroundings_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> wire.Batch:
        raise MemoryError

    monkeypatch.setattr(wire, "decode", fail)
    with pytest.raises(MemoryError):
        read((HEADER, PAYLOAD))
