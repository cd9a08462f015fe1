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
