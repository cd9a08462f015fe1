"""Series as collectors of before made them, when no label was told apart and no rule stood in the database."""

from __future__ import annotations

from sqlalchemy import Engine, text

from telemetry.store.rules import Rule
from telemetry.store.write.series_ids import SeriesIds
from telemetry.store.write.stretches import Content
from tests.batches import of_texts


def series_of_before(engine: Engine, *texts: str) -> list[int]:
    """Make some series; their ids."""
    with engine.begin() as connection:
        rules = connection.execute(text("DELETE FROM label_rules RETURNING since, volatile, owner")).all()
    (ids,) = SeriesIds(engine, Rule(frozenset(), frozenset()), 1000).resolve([Content.of(of_texts(*texts))]).ids
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM label_rules"))
        for since, volatile, owner in rules:
            row = {"since": since, "volatile": volatile, "owner": owner}
            connection.execute(text("INSERT INTO label_rules (since, volatile, owner) VALUES (:since, :volatile, :owner)"), row)
    return list(ids.tolist())
