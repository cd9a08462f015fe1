"""Signatures on batches and acknowledgements: HMAC-SHA256 by the key of the edge's holder.

A batch's is over its whole header, which holds the digest of its payload: so it says who sent which bytes as readings of which
edge. An acknowledgement's is over the edge, the source, the batch and the text; it stands behind the text. An edge believes
only signed acknowledgements once it has a key. Which keys are valid is `keyring`'s.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from telemetry.settings import Settings, SettingsError
from telemetry.trust import holders
from telemetry.trust.credentials import CENTRE, Maker, SigningKey, parse_key

log = logging.getLogger(__name__)

FIELD = "signature"
# Between the text of an acknowledgement and its signatures; no text holds it.
MARK = " ~"

Header = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs the batches of an edge, and reads its acknowledgements. Without a key it signs nothing and believes all."""

    edge: str
    key: SigningKey | None = None

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
                log.warning("an acknowledgement of batch %s is not believed: it is not signed by the centre", batch_id)
        return texts


def mac(key: SigningKey, header: Header) -> str:
    """The signature of a header, whatever its fields: a collector checks it before it looks at them."""
    # Sorted, as a message may come with its fields in another order than they were signed in.
    fields = {name: value for name, value in header.items() if name != FIELD}
    return hmac.digest(key.secret, b"batch\0" + msgspec.msgpack.encode(fields, order="deterministic"), "sha256").hex()


def sealed(keys: Iterable[SigningKey], edge: str, source_id: str, batch_id: str, text: str) -> str:
    """What follows the text of an acknowledgement: its signatures by the keys that are valid, as an edge has one of them."""
    signed = ack_bytes(edge, source_id, batch_id, text)
    return MARK + ",".join(f"{key.serial}:{hmac.digest(key.secret, signed, 'sha256').hex()}" for key in keys)


def ack_bytes(edge: str, source_id: str, batch_id: str, text: str) -> bytes:
    """What of an acknowledgement is signed."""
    return f"ack\0{edge}\0{source_id}\0{batch_id}\0{text}".encode(errors="surrogatepass")


def _fits(key: SigningKey, signed: bytes, seals: str) -> bool:
    expected = f"{key.serial}:{hmac.digest(key.secret, signed, 'sha256').hex()}".encode()
    return any(hmac.compare_digest(seal.encode(), expected) for seal in seals.split(","))
