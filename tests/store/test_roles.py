"""The roles that docs/SECURITY.md gives the parts of the centre: they are enough for each part, and no more than it needs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from telemetry.collector.persist import Collector
from telemetry.exporter import audits, health
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store import apikeys, edge_credentials, migrate
from telemetry.store.engine import make_engine
from tests.batches import batch, key, readings

PAGE = Path(__file__).parents[2] / "docs" / "SECURITY.md"
PASSWORD = "a-password"  # noqa: S105 - of a test

As = Callable[[str], Engine]


@pytest.fixture
def as_role(empty_database_url: str, server: psycopg.Connection[Any], settings: Settings) -> Iterator[As]:
    """An engine of a role, in a database that belongs to the owner's and is migrated by the collector's."""
    name, prefix = make_url(empty_database_url).database, f"r{uuid.uuid4().hex[:8]}"
    (block,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    block = block.replace("DATABASE telemetry ", f"DATABASE {name} ").replace("telemetry_", f"{prefix}_").replace("…", PASSWORD)
    before, _, after = block.partition("-- As the collector's role")
    made: dict[str, Engine] = {}

    def engine(role: str) -> Engine:
        url = make_url(empty_database_url).set(username=f"{prefix}_{role}", password=PASSWORD)
        told = replace(settings, database_url=url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False))
        return made.setdefault(role, make_engine(told, application="test"))

    server.execute(before.encode())
    try:
        migrate.upgrade(engine("collector"))
        with psycopg.connect(empty_database_url, autocommit=True) as admin:
            admin.execute(after.partition("\n")[2].encode())
        yield engine
    finally:
        for each in made.values():
            each.dispose()
        with psycopg.connect(empty_database_url, autocommit=True) as admin:
            for role in ("api", "exporter", "collector", "owner"):
                admin.execute(f"REASSIGN OWNED BY {prefix}_{role} TO CURRENT_USER".encode())
                admin.execute(f"DROP OWNED BY {prefix}_{role}".encode())
                admin.execute(f"DROP ROLE {prefix}_{role}".encode())


def test_each_part_can_do_what_it_must_and_no_more(as_role: As, settings: Settings, redis_client: redis.Redis) -> None:
    collector = Collector(settings, as_role("collector"), Acks(redis_client, Keys(settings.key_prefix), 60))
    assert collector.persist(*wire.encode(batch(readings((key(), 0, 1.0))))).status == "stored"
    api = as_role("api")
    with api.begin() as connection:
        made = apikeys.create(connection, "a", ["read"], None, "a test")
        assert apikeys.verify(connection, made)
        assert connection.execute(text("SELECT count(*) FROM samples")).scalar() == 1
    for statement in ("DELETE FROM samples", "INSERT INTO edge_credentials VALUES ('a', 1)", "DROP TABLE gpus"):
        for role in ("api", "exporter"):
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), as_role(role).begin() as connection:
                connection.execute(text(statement))
    exporter = as_role("exporter")
    with exporter.connect() as connection:
        assert edge_credentials.valid(connection) == {}
    audits.GapAudit(exporter, settings, {"": redis_client})()
    audits.SampleAuditLook(exporter)()
    health.look(exporter, settings)
    with as_role("collector").begin() as connection:
        connection.execute(text("DELETE FROM samples"))
    audits.SampleAuditLook(exporter)()
    audits.ShortfallLook(exporter, settings, {"": redis_client})()
