"""What the centre checks signatures with: it judges the header of a message, and signs acknowledgements.

Which credentials are valid is asked of the database now and then, so that an edge is refused soon after it was revoked.
"""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from telemetry.readings.names import MAX_EDGE
from telemetry.settings import Settings
from telemetry.trust import holders, signatures
from telemetry.trust.credentials import CENTRE, Maker, SigningKey

# For so long the centre goes by what it was told of valid credentials.
KNOWN_S = 2.0

SIGNATURE = re.compile(rf"([A-Za-z0-9._/-]{{1,{MAX_EDGE}}}) ([0-9]{{1,9}}) ([0-9a-f]{{64}})")

# By holder, the numbers of its valid credentials.
Valid = Mapping[str, Sequence[int]]


@dataclass(slots=True)
class Keyring:
    """The keys of all edges. Without a secret it has none: then every batch is believed, as it is when nothing is signed."""

    maker: Maker | None
    is_required: bool
    look: Callable[[], Valid]
    _valid: Valid = field(default_factory=dict)
    _looked_s: float = -math.inf
    _keys: dict[tuple[str, int], SigningKey] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, look: Callable[[], Valid]) -> Keyring:
        """The keyring of a process of the centre. `look` says which credentials are valid."""
        maker = Maker(settings.trust_secret, settings.key_prefix) if settings.trust_secret else None
        return cls(maker, settings.signatures == "required", look)

    def refusal(self, header: Any) -> str | None:
        """Why a message is not believed; None if it is. Raises what `look` raises."""
        stated = header.get(signatures.FIELD) if isinstance(header, dict) else None
        if stated is None:
            return "it is not signed" if self.is_required else None
        if self.maker is None:
            return None
        match = SIGNATURE.fullmatch(stated) if isinstance(stated, str) else None
        return self._of_signed(header, match[1], int(match[2]), match[3]) if match else "its signature is none"

    def _of_signed(self, header: Mapping[str, Any], holder: str, serial: int, mac: str) -> str | None:
        edge = header.get("edge")
        if not isinstance(edge, str) or not holders.covers(holder, edge):
            return f"it claims to be of {str(edge)[:MAX_EDGE]!r}, and is signed by {holder}"
        if serial not in self._serials(holder):
            return f"it is signed by key {serial} of {holder}, which is not valid"
        if not self._is_signed(header, self._key(holder, serial), mac):
            return f"the signature of {holder} does not fit it"
        return None

    def seal(self, header: Mapping[str, Any], text: str) -> str:
        """What follows the text of the acknowledgement of a batch that was believed; nothing where that is not signed."""
        stated = header.get(signatures.FIELD)
        match = SIGNATURE.fullmatch(stated) if isinstance(stated, str) else None
        if self.maker is None or not match:
            return ""
        holder = match[1]
        # What the centre signed for itself it reads by the same key; an edge has one of those that are valid.
        serials = [CENTRE] if int(match[2]) == CENTRE else self._serials(holder)[1:]
        keys = [self._key(holder, number) for number in serials]
        return signatures.sealed(keys, header["edge"], header["source"]["id"], header["batch_id"], text)

    def _serials(self, holder: str) -> list[int]:
        """The numbers of a holder's credentials that are valid; the centre's own always is."""
        if monotonic() - self._looked_s > KNOWN_S:
            self._valid, self._looked_s = self.look(), monotonic()
        return [CENTRE, *self._valid.get(holder, ())]

    def _key(self, holder: str, serial: int) -> SigningKey:
        assert self.maker is not None  # noqa: S101
        key = self._keys.get((holder, serial))
        if key is None:
            key = self.maker.key(holder, serial)
            # Only of credentials that are valid: strangers can't make it grow.
            self._keys[holder, serial] = key
        return key

    def _is_signed(self, header: Mapping[str, Any], key: SigningKey, stated: str) -> bool:
        try:
            expected = signatures.mac(key, header)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return False
        return hmac.compare_digest(stated.encode(errors="replace"), expected.encode())
