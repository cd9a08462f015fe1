"""Migrations: one head, from empty to head and back, and no drift from the models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine
from telemetry.store.upkeep.ledger_folding import fold


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    engine = make_engine(Settings.load({"TELEMETRY_DATABASE_URL": empty_database_url}), application="test")
    yield engine
    engine.dispose()


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(migrate.config()).get_heads()) == 1


def test_from_empty_to_head_and_back(empty: Engine) -> None:
    assert migrate.current(empty) is None
    for _ in range(2):
        migrate.upgrade(empty)
        assert migrate.current(empty) == migrate.head()
        migrate.downgrade(empty, "base")
    assert inspect(empty).get_table_names() == ["alembic_version"]


def test_a_schema_that_a_later_version_made_is_worked_on_and_left_alone(engine: Engine) -> None:
    assert migrate.serves(migrate.head())
    assert not migrate.serves(None)
    assert not migrate.serves("0001")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    migrate.upgrade(engine)
    assert migrate.current(engine) == "9999"
    assert migrate.serves("9999")


def test_models_and_migrations_agree(engine: Engine) -> None:
    command.check(migrate.config(engine))


COLLATIONS = text("""
    SELECT DISTINCT collname
    FROM pg_index JOIN pg_attribute ON attrelid = indexrelid JOIN pg_collation c ON c.oid = attcollation
    WHERE indisunique AND indrelid = ANY(ARRAY['gpus', 'metrics', 'sources', 'series']::regclass[])
""")


def test_what_makes_names_unique_does_not_depend_on_the_operating_system(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.scalars(COLLATIONS).all() == ["C"]


BATCH = text("""
    INSERT INTO batches (edge, batch_id, source_id, start_offset, end_offset, first_line, status,
                         rows, stored, duplicate, conflict, blank, quarantined, read_at, published_at, committed_at)
    SELECT 'e', :name, id, :at, :at + 1, 2, 'stored', 5, 5, 0, 0, 0, 0, now(), now(), '2020-01-01' FROM sources
""")


def test_batches_of_before_have_as_many_records_as_rows(empty: Engine) -> None:
    migrate.upgrade(empty, "0003")
    with empty.begin() as connection:
        connection.execute(text("INSERT INTO sources (edge, path, fingerprint, format) VALUES ('e', 'p', 'f', 'dcgm')"))
        connection.execute(BATCH, {"name": "before", "at": 0})
    migrate.upgrade(empty)
    with empty.begin() as connection:
        # A collector that was not replaced yet enters none.
        connection.execute(BATCH, {"name": "meanwhile", "at": 1})
        connection.execute(BATCH, {"name": "after", "at": 2})
        connection.execute(text("UPDATE batches SET records = 2 WHERE batch_id = 'after'"))
        found = connection.execute(text("SELECT records FROM batches ORDER BY start_offset")).scalars().all()
        assert found == [None, None, 2]
        assert connection.execute(text("SELECT sum(rows), sum(records) FROM ledger")).one() == (15, 12)
    with empty.begin() as connection:
        assert fold(connection, 0) == 3
    with empty.connect() as connection:
        assert connection.execute(text("SELECT batches, rows, records FROM ledger_ranges")).one() == (3, 15, 12)
