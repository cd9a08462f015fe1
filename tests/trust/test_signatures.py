"""Signed batches and acknowledgements, at a real database and broker: what is forged settles nothing."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings, SettingsError
from telemetry.store import edge_credentials
from telemetry.trust.credentials import Maker
from telemetry.trust.keyring import Keyring
from telemetry.trust.signatures import Signer
from tests.batches import batch, key, readings
from tests.examples import examples
from tests.fixtures.services import Query

SECRET = "s" * 40
MAKER = Maker(SECRET, "telemetry")
SAMPLES = "SELECT value FROM samples"
HEADER, PAYLOAD = wire.encode(batch(readings((key(), 0, 1.0))))
FALSE, FALSE_PAYLOAD = wire.encode(batch(readings((key(), 0, 666.0))))


def signer(edge: str = "test/node", serial: int = 1, secret: str = SECRET) -> Signer:
    """The signer of an edge."""
    return Signer(edge, Maker(secret, "telemetry").key(edge, serial))


def keyring(*, required: bool = True, **valid: list[int]) -> Keyring:
    """The centre's keyring, with the credentials of `test/node` valid."""
    return Keyring(MAKER, required, lambda: {"test/node": [1], **valid})


SIGNED = signer().signed(HEADER)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (SIGNED, None),
        (HEADER, "it is not signed"),
        (None, "it is not signed"),
        ({"oversized_bytes": 1 << 30}, "it is not signed"),
        ({**HEADER, "signature": "x"}, "its signature is none"),
        ({**HEADER, "signature": ["test/node", 1]}, "its signature is none"),
        ({**SIGNED, "digest": FALSE["digest"]}, "the signature of test/node does not fit it"),
        ({**SIGNED, "batch_id": "b2"}, "the signature of test/node does not fit it"),
        ({**SIGNED, "source": {**HEADER["source"], "path": "/other"}}, "the signature of test/node does not fit it"),
        ({**SIGNED, "more": 1}, "the signature of test/node does not fit it"),
        ({**SIGNED, "more": object()}, "the signature of test/node does not fit it"),
        (signer().signed({**HEADER, "edge": "test/other"}), "it claims to be of 'test/other', and is signed by test/node"),
        (
            signer().signed({**HEADER, "edge": ["test/node"]}),
            "it claims to be of \"['test/node']\", and is signed by test/node",
        ),
        (
            signer("test/other").signed({**HEADER, "edge": "test/other"}),
            "it is signed by key 1 of test/other, which is not valid",
        ),
        (signer(serial=2).signed(HEADER), "it is signed by key 2 of test/node, which is not valid"),
        (signer(secret="t" * 40).signed(HEADER), "the signature of test/node does not fit it"),
        # The centre's own, for what it streams itself.
        (signer(serial=0).signed(HEADER), None),
    ],
)
def test_what_the_centre_believes(header: Any, why: str | None) -> None:
    assert keyring().refusal(header) == why


def test_what_is_not_signed_is_accepted_until_the_centre_is_told() -> None:
    assert keyring(required=False).refusal(HEADER) is None
    assert keyring(required=False).refusal({**SIGNED, "batch_id": "b2"}) is not None


def test_a_key_of_a_cluster_is_good_for_its_edges() -> None:
    held = Signer("gpu-a/n1", MAKER.key("gpu-a", 1))
    centre = Keyring(MAKER, True, lambda: {"gpu-a": [1]})
    assert centre.refusal(held.signed({**HEADER, "edge": "gpu-a/n1"})) is None
    assert centre.refusal(held.signed({**HEADER, "edge": "gpu-b/n1"})) is not None


def test_a_letter_that_was_never_believed_has_no_seal() -> None:
    for stated in (None, "x", "a b c", "test/node 1", [1]):
        assert keyring().seal({**HEADER, "signature": stated}, "stored") == ""


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.lists(st.floats())))
@hypothesis_settings(max_examples=examples(50), deadline=None)
def test_no_header_makes_the_judge_fail(strange: dict[str, Any]) -> None:
    assert keyring().refusal(strange) is not None
    assert keyring().refusal({**SIGNED, **strange, "x": 1}) is not None


def test_an_edge_refuses_a_key_that_is_not_its_own() -> None:
    told = {"TELEMETRY_EDGE": "test/other", "TELEMETRY_SIGNING_KEY": MAKER.key("test/node", 1).text}
    with pytest.raises(SettingsError, match="that of test/node, and TELEMETRY_EDGE is test/other"):
        Signer.of(Settings.load(told))
    with pytest.raises(SettingsError, match="as `telemetry edge add` prints it"):
        Settings.load({"TELEMETRY_SIGNING_KEY": "test/node:1:beef"})
    with pytest.raises(SettingsError, match="no signature could be checked"):
        Settings.load({"TELEMETRY_SIGNATURES": "required"})
    with pytest.raises(SettingsError, match="at least 32 characters"):
        Settings.load({"TELEMETRY_TRUST_SECRET": "short"})


@pytest.fixture
def collector(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Collector:
    """A collector that asks for signatures; `test/node` and `test/other` have credentials."""
    for edge in ("test/node", "test/other"):
        with engine.begin() as connection:
            edge_credentials.issue(connection, edge, "a test")
    told = replace(settings, trust_secret=SECRET, key_prefix="telemetry", signatures="required")
    return Collector(told, engine, Acks(redis_client, Keys(settings.key_prefix), 60))


def acks(client: redis.Redis, settings: Settings) -> dict[str, str]:
    """The acknowledgements as they stand in the broker."""
    held: dict[Any, Any] = client.hgetall(Keys(settings.key_prefix).acks("test/node", "source-1"))
    return {batch_id.decode(): text.decode() for batch_id, text in held.items()}


def test_false_values_under_another_edges_batch_are_refused(
    collector: Collector, query: Query, redis_client: redis.Redis, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        forged = signer("test/other").signed(FALSE)
        outcomes = collector.persist_all([(forged, FALSE_PAYLOAD), (FALSE, FALSE_PAYLOAD), (None, b"junk")])
    assert [outcome.status for outcome in outcomes] == ["refused"] * 3  # type: ignore[union-attr]
    assert "it claims to be of 'test/node', and is signed by test/other" in caplog.text
    assert not acks(redis_client, settings)
    assert not query("SELECT FROM dead_letters")
    # The true batch is not settled by them.
    assert collector.persist(SIGNED, PAYLOAD).status == "stored"
    assert query(SAMPLES) == [(1.0,)]
    # Its copy is known; with other content under the same header it is none of the edge's.
    assert collector.persist(SIGNED, PAYLOAD).status == "known"
    assert collector.persist({**SIGNED, "digest": FALSE["digest"]}, FALSE_PAYLOAD).status == "refused"
    assert query(SAMPLES) == [(1.0,)]


def test_a_batch_is_not_condemned_in_the_name_of_another_edge(collector: Collector, query: Query) -> None:
    assert collector.condemn((FALSE, b""), ValueError("forged")).status == "refused"
    assert not query("SELECT FROM batches")


def test_an_edge_believes_only_what_the_centre_has_signed(
    collector: Collector, engine: Engine, redis_client: redis.Redis, settings: Settings
) -> None:
    collector.persist(SIGNED, PAYLOAD)
    told = acks(redis_client, settings)
    opened = signer().opened("source-1", told)
    assert opened["b1"].startswith("stored ")
    assert "~" not in opened["b1"]
    forged = {"b1": "stored", "b2": told["b1"], "b3": "stored ~1:beef", "b4": "dead"}
    assert signer().opened("source-1", forged) == {}
    assert signer().opened("source-2", told) == {}
    assert signer("test/other").opened("source-1", told) == {}
    # Without a key an edge believes all, and reads them as ever.
    assert Signer("test/node").opened("source-1", {**told, "b4": "dead"}) == {**opened, "b4": "dead"}


def test_both_keys_are_good_while_an_edge_rotates(
    collector: Collector, engine: Engine, redis_client: redis.Redis, settings: Settings
) -> None:
    with engine.begin() as connection:
        assert edge_credentials.issue(connection, "test/node", "a test") == 2
    for serial in (1, 2):
        assert collector.persist(signer(serial=serial).signed(HEADER), PAYLOAD).status in {"stored", "known"}
        # Whichever replica of the edge reads it.
        for reader in (1, 2):
            assert signer(serial=reader).opened("source-1", acks(redis_client, settings))
    with engine.begin() as connection:
        assert edge_credentials.retire(connection, "test/node", "a test", but=2) == [1]
        assert edge_credentials.valid(connection)["test/node"] == [2]
