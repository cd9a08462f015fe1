"""The usual pipeline: csv.DictReader, a Celery task for every 100 rows, `session.add_all` and a commit in it.

Timed from the first publish to the last commit; the publisher is a process of its own beside the worker, as ours is.
"""

from __future__ import annotations

import csv
import time
from itertools import islice

import sqlalchemy
from celery import Celery

from benchmarks import data
from benchmarks.bench import Bench, Site
from benchmarks.peers import orm

ROWS_A_TASK = 100
WARM_UP_ROWS = 2_000
# Rows given a number are nearly stored; to count rows all the time would slow the workers down.
NUMBERED = "SELECT last_value FROM orm_readings_id_seq"
STORED = "SELECT count(*), extract(epoch FROM max(pg_xact_commit_timestamp(xmin))) FROM orm_readings"


def run(bench: Bench) -> dict[str, float]:
    """A file of its own size: what counts is the rate."""
    file, warm_up = bench.file("orm", bench.sizes.orm_rows), bench.file("orm-warm-up", WARM_UP_ROWS, hour=5)
    with bench.site() as site:
        engine = sqlalchemy.create_engine(site.settings.database_url)
        orm.Base.metadata.create_all(engine)
        engine.dispose()
        app = Celery("orm", broker=site.settings.broker_url, set_as_current=False)
        site.start_worker("benchmarks.peers.orm")
        _publish(app, warm_up)
        _wait(site, warm_up.rows)
        begun = time.time()
        _publish(app, file)
        return {"rows_per_s": file.rows / (_wait(site, warm_up.rows + file.rows) - begun)}


def _publish(app: Celery, file: data.File) -> None:
    with file.path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        while rows := list(islice(reader, ROWS_A_TASK)):
            app.send_task("store", [rows])


def _wait(site: Site, rows: int) -> float:
    """Wait until so many rows are stored; when the last was committed."""
    with site.database() as connection:

        def first(query: str) -> tuple[int, float]:
            number, *rest = connection.execute(query.encode()).fetchone() or (0,)
            return int(number), float(rest[0] or 0) if rest else 0.0

        site.wait(lambda: first(NUMBERED)[0] >= rows and first(STORED)[0] == rows, f"{rows} rows of the ORM pipeline")
        return first(STORED)[1]
