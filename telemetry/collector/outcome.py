"""What became of a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from telemetry.progress.acks import Held

Status = Literal["stored", "dead", "known", "known dead", "probe", "held", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message.

    `status` is `stored` or `dead` by this message, `known` (stored) or `known dead` before it came, `probe`, `held`, the
    answer to a question, or `refused`, as it is not believed: then its batch is not settled. `known_at_s` is this process's
    monotonic clock just before the database was asked or told, and `generation` that of the database.

    `rows` counts the rows that this message settled, by class (`stored`, `duplicate`, `conflict`, `expired`, `blank` and
    `quarantined`, or `dead`); it is empty unless the message settled its batch. `error` says why a batch is dead by this
    message.
    """

    status: Status
    known_at_s: float
    rows: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    generation: str = ""
    held: Held | None = None

    @property
    def is_dead(self) -> bool:
        """Whether the batch is dead in the ledger; otherwise its edge may take it as stored."""
        return self.status in {"dead", "known dead"}

    @property
    def settlement(self) -> str:
        """The label of the metrics. A batch that was already dead when it came counts as `known`, a question as a probe."""
        return {"known dead": "known", "held": "probe"}.get(self.status, self.status)

    @property
    def shown_status(self) -> str:
        """What a person is told: a batch is dead, whenever it died."""
        return "dead" if self.is_dead else self.status

    def of_copy(self) -> Outcome:
        """What becomes of a copy of the same batch that came in the same group."""
        return replace(self, status="known dead" if self.is_dead else "known", rows={}, error=None)
