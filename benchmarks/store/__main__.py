"""`python -m benchmarks.store`: layouts of sealed days, and sealed days beside rows, on the embedded Postgres or another."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import psycopg
from psycopg import sql
from sqlalchemy import Engine, make_url

from benchmarks.store import beside, days, history, layouts
from telemetry.local.servers import Postgres
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine

YEAR = 5e9
NAME = "bench_store"


@click.command()
@click.option("--gpus", type=click.IntRange(2), default=64, show_default=True, help="GPUs whose day is stored and sealed.")
@click.option("--layout-gpus", type=click.IntRange(2), default=16, show_default=True, help="GPUs that layouts are compared on.")
@click.option("--fleet-gpus", type=click.IntRange(2), default=250, show_default=True, help="GPUs of the year's fleet.")
@click.option("--year-days", type=click.IntRange(2), default=365, show_default=True, help="Days of the year.")
@click.option("--url", help="Measure on this Postgres, not the embedded one: postgresql://… of a role that makes databases.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures to this file.")
def main(gpus: int, layout_gpus: int, fleet_gpus: int, year_days: int, url: str | None, json_path: Path | None) -> None:
    """Measure how small sealed days are, how fast they are sealed, and how fast they are read beside rows."""
    with ExitStack() as stack:
        if url is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telemetry-bench-")))
            directory.chmod(0o755)
            url = stack.enter_context(Postgres(directory / "postgres")).url
        server = stack.enter_context(psycopg.connect(url, autocommit=True))
        database = fresh(server, url)
        click.echo(f"PostgreSQL {server.info.server_version // 10_000}")
        with psycopg.connect(database, autocommit=True) as connection:
            compared = list(layouts.measure(connection, layout_gpus))
        for row in compared:
            click.echo(
                f"{row.shape:13} {row.form:18} {row.compression:5} {row.bytes_a_sample:6.2f} bytes a sample,"
                f" a day of a series {row.read_ms:6.2f} ms"
            )
        with _migrated(server, url) as (engine, settings):
            figures = days.run(engine, settings, gpus)
        with _migrated(server, url) as (engine, settings):
            figures |= beside.run(engine, settings, gpus)
        figures |= history.run(server, url, fleet_gpus, year_days)
        figures["year_gb"] = figures["sealed_bytes_a_sample"] * YEAR / 1e9
        for name, value in figures.items():
            click.echo(f"{name:28} {value:14,.2f}")
        if json_path:
            document: dict[str, Any] = {"layouts": [row._asdict() for row in compared], "days": figures}
            json_path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _migrated(server: psycopg.Connection[Any], url: str) -> Iterator[tuple[Engine, Settings]]:
    """An engine on an empty database of the newest schema, and its settings."""
    settings = Settings.load({"TELEMETRY_DATABASE_URL": fresh(server, url)})
    engine = make_engine(settings, application="bench", pool_size=1)
    migrate.upgrade(engine)
    yield engine, settings
    engine.dispose()


def fresh(server: psycopg.Connection[Any], url: str) -> str:
    """An empty database of the name; its URL."""
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(NAME)))
    server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
    return make_url(url).set(drivername="postgresql", database=NAME).render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
