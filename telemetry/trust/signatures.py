"""Signatures on batches and acknowledgements: keyed BLAKE2b (RFC 7693) by the key of the edge's holder.

A batch's is over its whole header, which holds the digest of its payload: so it says who sent which bytes as readings of which
edge. An acknowledgement's is over the edge, the source, the batch and the text; it stands behind the text. An edge believes
only signed acknowledgements once it has a key. Which keys are valid is `keyring`'s.
"""

from __future__ import annotations

import hmac
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from time import monotonic
from typing import Any

import msgspec

from telemetry.settings import Settings, SettingsError
from telemetry.trust import holders
from telemetry.trust.credentials import CENTRE, Maker, SigningKey, parse_key

log = logging.getLogger(__name__)

FIELD = "signature"
TOLD_EVERY_S = 60.0
# Between the text of an acknowledgement and its signatures; no text holds it.
MARK = " ~"

Header = Mapping[str, Any]


@dataclass(slots=True)
class Signer:
    """Signs the batches of an edge, and reads its acknowledgements. Without a key it signs nothing and believes all."""

    edge: str
    key: SigningKey | None = None
    _told_s: float = -math.inf

    @classmethod
    def of(cls, settings: Settings) -> Signer:
        """The signer of a process: with its edge's key, or one of the centre's own. Raises SettingsError."""
        key = parse_key(settings.signing_key) if settings.signing_key else None
        if key is None and settings.trust_secret:
            key = Maker(settings.trust_secret, settings.key_prefix).key(settings.edge, CENTRE)
        if key is not None and not holders.covers(key.holder, settings.edge):
            raise SettingsError(
                f"TELEMETRY_SIGNING_KEY is that of {key.holder}, and TELEMETRY_EDGE is {settings.edge}: "
                f"give it the key of `telemetry edge add {settings.edge}`"
            )
        return cls(settings.edge, key)

    def signed(self, header: dict[str, Any]) -> dict[str, Any]:
        """The header with a signature."""
        if self.key is None:
            return header
        return {**header, FIELD: f"{self.key.holder} {self.key.serial} {mac(self.key, header)}"}

    def opened(self, source_id: str, acks: Mapping[str, str]) -> dict[str, str]:
        """The acknowledgements of a source that are believed, without their signatures."""
        texts = {}
        for batch_id, sealed in acks.items():
            text, _, seals = sealed.partition(MARK)
            if self.key is None or _fits(self.key, ack_bytes(self.edge, source_id, batch_id, text), seals):
                texts[batch_id] = text
            else:
                self._tell(batch_id)
        return texts

    def _tell(self, batch_id: str) -> None:
        """Say now and then that the centre has not signed: each look at the acknowledgements finds the same ones again."""
        if monotonic() - self._told_s > TOLD_EVERY_S:
            self._told_s = monotonic()
            log.warning(
                "the acknowledgement of batch %s is not believed, as the centre has not signed it: it is forged, or the "
                "collectors have no TELEMETRY_TRUST_SECRET, or another one",
                batch_id,
            )


def mac(key: SigningKey, header: Header) -> str:
    """The signature of a header, whatever its fields: a collector checks it before it looks at them."""
    # Sorted, as a message may come with its fields in another order than they were signed in.
    return _mac(key, b"batch\0" + msgspec.msgpack.encode({**header, FIELD: None}, order="deterministic"))


def sealed(keys: Iterable[SigningKey], edge: str, source_id: str, batch_id: str, text: str) -> str:
    """What follows the text of an acknowledgement: its signatures by the keys that are valid, as an edge has one of them."""
    signed = ack_bytes(edge, source_id, batch_id, text)
    return MARK + ",".join([f"{key.serial}:{_mac(key, signed)}" for key in keys])


def ack_bytes(edge: str, source_id: str, batch_id: str, text: str) -> bytes:
    """What of an acknowledgement is signed."""
    return f"ack\0{edge}\0{source_id}\0{batch_id}\0{text}".encode(errors="surrogatepass")


def _mac(key: SigningKey, signed: bytes) -> str:
    # HMAC by Python's own module takes three times as long, twice a batch.
    return blake2b(signed, key=key.secret, digest_size=32).hexdigest()


def _fits(key: SigningKey, signed: bytes, seals: str) -> bool:
    expected = f"{key.serial}:{_mac(key, signed)}".encode()
    return any(hmac.compare_digest(seal.encode(), expected) for seal in seals.split(","))
