"""Files against a database that was filled by hand: every class, and what tips the verdict."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, text

from telemetry.cli.verify import examine, report, verify
from telemetry.settings import Settings
from telemetry.verify.compare import Outcome
from telemetry.verify.formats import labels

HEADER = b"timestamp,metric_name,uuid,value\n"
FIRST = b"2025-07-18T20:42:00Z,DCGM_FI_DEV_GPU_TEMP,GPU-1,30\n"
START = datetime(2025, 7, 18, 20, 42, tzinfo=UTC)
CLASSES = ["read", "stored", "duplicate", "conflict", "blank", "quarantined", "dead", "expired", "unread", "missing", "extra"]


def row(second: int, value: object, gpu: str = "GPU-1") -> bytes:
    """A row at a second after START."""
    moment = START + timedelta(seconds=second)
    return f"{moment.isoformat()},DCGM_FI_DEV_GPU_TEMP,{gpu},{value}\n".encode()


def digest(raw: bytes) -> bytes:
    """As the database keeps it."""
    return hashlib.sha256(raw).digest()[:16]


class Store:
    """Puts rows into the tables as a collector would."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.execute(text("CREATE TABLE samples_all PARTITION OF samples DEFAULT"))

    def sample(self, second: float, value: float, gpu: str = "GPU-1", **lasting: str) -> None:
        """A sample of the metric of `row`."""
        self.samples([(gpu, "DCGM_FI_DEV_GPU_TEMP", START + timedelta(seconds=second), value)], **lasting)

    def samples(self, rows: list[tuple[str, str, datetime, float]], **lasting: str) -> None:
        """Samples by GPU, metric, time and value."""
        queries = (
            "INSERT INTO gpus (identity) VALUES (:gpu) ON CONFLICT DO NOTHING",
            "INSERT INTO metrics (name) VALUES (:metric) ON CONFLICT DO NOTHING",
            """INSERT INTO series (gpu_id, metric_id, labels_digest, labels)
               SELECT g.id, m.id, :digest, '{}' FROM gpus g, metrics m WHERE identity = :gpu AND name = :metric
               ON CONFLICT DO NOTHING""",
            """INSERT INTO samples SELECT s.id, :ts, :value FROM series s JOIN gpus g ON g.id = s.gpu_id
               JOIN metrics m ON m.id = s.metric_id
               WHERE g.identity = :gpu AND m.name = :metric AND s.labels_digest = :digest""",
        )
        marked = {"digest": labels.digest(lasting)}
        given = [marked | dict(zip(("gpu", "metric", "ts", "value"), values, strict=True)) for values in rows]
        for query in queries:
            self.connection.execute(text(query), given)

    def quarantine(self, fingerprint: str, offset: int, raw: bytes, reason: str = "bad_quotes") -> None:
        """A quarantined row."""
        query = """
            INSERT INTO quarantine (source_id, batch_id, fingerprint, byte_offset, digest, line, reason, raw)
            VALUES (:source, 'b', :fingerprint, :offset, :digest, 1, :reason, :raw)
        """
        source = self.source(fingerprint)
        given = {"fingerprint": fingerprint, "offset": offset, "digest": digest(raw), "reason": reason, "raw": raw}
        self.connection.execute(text(query), {"source": source, **given})

    def batch(self, fingerprint: str, start: int, end: int, status: str = "stored", anchor: int | None = None) -> None:
        """An entry of the ledger."""
        query = """
            INSERT INTO batches VALUES
            ('e/n', :id, :source, :status, NULL, :anchor, :start, :end, 1, 1, 1, 0, 0, 0, 0, now(), now())
        """
        given = {"status": status, "anchor": anchor, "start": start, "end": end, "id": f"{start}{anchor}"}
        self.connection.execute(text(query), {"source": self.source(fingerprint), **given})

    def source(self, fingerprint: str) -> int:
        """The id of a source."""
        query = """
            INSERT INTO sources (edge, path, fingerprint, format) VALUES ('e/n', '/f', :fingerprint, 'dcgm')
            ON CONFLICT (edge, fingerprint, path) DO UPDATE SET format = 'dcgm' RETURNING id
        """
        return int(self.connection.execute(text(query), {"fingerprint": fingerprint}).scalar_one())


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    """The database, to be filled; every statement is committed."""
    with engine.connect() as plain:
        yield Store(plain.execution_options(isolation_level="AUTOCOMMIT"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the tests put their file."""
    return tmp_path / "file.csv"


def written(path: Path, *rows: bytes) -> str:
    """Write a file of HEADER, FIRST and more rows; its fingerprint."""
    path.write_bytes(HEADER + FIRST + b"".join(rows))
    return hashlib.sha256(HEADER + FIRST).hexdigest()[:32]


def counts(outcome: Outcome) -> dict[str, int]:
    """The classes that occur."""
    assert list(outcome.counts) == CLASSES
    return {name: count for name, count in outcome.counts.items() if count}


def test_every_class_at_once(store: Store, settings: Settings, file: Path) -> None:
    rows = [row(1, 31), row(1, 31), row(1, 32), row(2, "NaN"), b'a,"\n', row(3, 33), b"b\n", row(4, 34), row(5, 35)]
    mark = written(file, *rows)
    at = [len(HEADER + FIRST) + len(b"".join(rows[:place])) for place in range(len(rows))]
    for second, value in ((0, 30), (1, 31), (5, 35), (2.5, 1)):
        store.sample(second, value)
    store.sample(5.000001, 1)
    store.quarantine(mark, at[4], b'a,"')
    store.batch(mark, 0, at[7])
    store.batch(mark, at[7], at[8], "dead")
    outcome = examine(settings, [file])
    assert counts(outcome) == {
        "read": 10,
        "stored": 3,
        "duplicate": 1,
        "conflict": 1,
        "blank": 1,
        "quarantined": 1,
        "dead": 1,
        "missing": 2,
        "extra": 1,
    }
    assert not outcome.agrees()
    missing, unkept, dead, conflict, extra = (line.strip() for line in report(outcome).splitlines()[13:18])
    assert missing == f"{file}:8: missing: not in samples: {rows[5].decode().strip()}"
    assert unkept == f"{file}:9: missing: not in quarantine as bad_columns: b"
    assert dead.startswith(f"{file}:10: dead: its batch could not be stored: 2025-07-18T20:42:04")
    assert conflict == f"{file}:5: conflict: it says 32, 31 is stored: {rows[2].decode().strip()}"
    assert extra.endswith("DCGM_FI_DEV_GPU_TEMP of GPU-1 at 2025-07-18T20:42:02.500000Z = 1")
    assert report(outcome).endswith("differences found: 1 conflict, 1 dead, 2 missing, 1 extra; 1 in quarantine: bad_quotes 1")


def test_the_row_with_the_stored_value_is_the_stored_one(store: Store, settings: Settings, file: Path) -> None:
    written(file, row(1, 5), row(1, 6), row(1, 6), row(2, 7), row(2, 7))
    for second, value in ((0, 30), (1, 6), (2, 8)):
        store.sample(second, value)
    outcome = examine(settings, [file])
    assert counts(outcome) == {"read": 6, "stored": 2, "duplicate": 1, "conflict": 3}
    assert not outcome.agrees()
    assert [(example.line, example.reason) for example in outcome.examples] == [
        (3, "conflict: it says 5, 6 is stored"),
        (6, "conflict: it says 7, 8 is stored"),
        (7, "conflict: it says 7, 8 is stored"),
    ]


def test_conflicts_of_several_files_are_shown_in_their_files(store: Store, settings: Settings, tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    written(first, row(1, 1), row(2, 2))
    written(second, row(3, 3), row(4, 4.5))
    for number, value in enumerate((30, 1, 2, 3, 4)):
        store.sample(number, value)
    outcome = examine(settings, [first, second])
    assert counts(outcome) == {"read": 6, "stored": 4, "duplicate": 1, "conflict": 1}
    assert [(example.path, example.line, example.reason) for example in outcome.examples] == [
        (second, 4, "conflict: it says 4.5, 4 is stored")
    ]


def test_a_blank_row_does_not_account_for_a_sample(store: Store, settings: Settings, file: Path) -> None:
    written(file, row(1, 2147483632))
    store.sample(0, 30)
    store.sample(1, 2147483632)
    assert counts(examine(settings, [file])) == {"read": 2, "stored": 1, "blank": 1, "extra": 1}


def test_files_are_taken_together(store: Store, settings: Settings, tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv"]
    written(paths[0], row(2, 1))
    written(paths[1], row(1, 1), row(3, 1, "GPU-2"))
    paths[2].touch()
    for second, gpu in ((1, "GPU-1"), (2, "GPU-1"), (3, "GPU-2")):
        store.sample(second, 1, gpu)
    store.sample(0, 30)
    store.sample(1, 1, "GPU-3")
    assert counts(examine(settings, paths)) == {"read": 5, "stored": 4, "duplicate": 1}


def test_what_is_stored_once_more_under_other_labels_is_extra(store: Store, settings: Settings, file: Path) -> None:
    written(file)
    store.sample(0, 30)
    store.sample(0, 30, release="a")
    assert counts(examine(settings, [file])) == {"read": 1, "stored": 1, "extra": 1}


@pytest.mark.parametrize(
    ("change", "quarantined"), [({}, 1), ({"offset": 1}, 0), ({"raw": b"c"}, 0), ({"fingerprint": "x"}, 0)]
)
def test_quarantine_is_by_file_offset_and_text(
    store: Store, settings: Settings, file: Path, change: dict[str, str | int | bytes], quarantined: int
) -> None:
    mark = written(file, b"\r\nb\r\n")
    store.sample(0, 30)
    given = {"fingerprint": mark, "offset": len(HEADER + FIRST) + 2, "raw": b"b"} | change
    store.quarantine(**given)  # type: ignore[arg-type]
    assert examine(settings, [file]).counts["quarantined"] == quarantined


def test_of_a_long_line_the_first_bytes_are_kept(store: Store, settings: Settings, file: Path) -> None:
    line = b"x" * 100_000
    file.write_bytes(HEADER + line + b"\n")
    mark = hashlib.sha256(HEADER + line[:65_536]).hexdigest()[:32]
    store.quarantine(mark, len(HEADER), line[:65_536], "too_long")
    assert counts(examine(settings, [file])) == {"read": 1, "quarantined": 1}


def test_a_foreign_file(store: Store, settings: Settings, file: Path) -> None:
    file.write_bytes(b"time;value\r\n1;2\r\n")
    assert counts(examine(settings, [file])) == {"read": 2, "unread": 2}
    store.quarantine(digest(b"time;value").hex(), 0, b"time;value", "unknown_format")
    outcome = examine(settings, [file])
    assert counts(outcome) == {"read": 2, "unread": 2}
    assert report(outcome).endswith("differences found: 2 unread")
    assert [(each.line, each.reason, each.text) for each in outcome.examples] == [
        (1, "unread: no format knows the header of this file", "time;value")
    ]


@pytest.mark.parametrize(("content", "lines"), [(b"x", 1), (b"x\n\n1", 3), (b"\xff\xfet\0\n\0", 1)])
def test_every_physical_line_of_a_foreign_file_is_unread(
    store: Store, settings: Settings, tmp_path: Path, file: Path, content: bytes, lines: int
) -> None:
    file.write_bytes(content)
    assert counts(examine(settings, [file])) == {"read": lines, "unread": lines}
    good = tmp_path / "good.csv"
    written(good)
    store.sample(0, 30)
    assert counts(examine(settings, [good, file])) == {"read": 1 + lines, "stored": 1, "unread": lines}


@pytest.mark.parametrize("content", [b"", b"\n", b"\0\0\r\n", b"# nothing yet\n#", b"sep=,"])
def test_a_file_that_says_nothing_has_no_reading(store: Store, settings: Settings, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert counts(examine(settings, [file])) == {}


def test_lines_under_a_header_that_nobody_knows_are_unread(store: Store, settings: Settings, file: Path) -> None:
    header = "timestamp,metric_name,uuid,power"
    mark = written(file, f"{header}\n".encode(), row(1, 1), b"\n", row(2, 1), HEADER, row(3, 1))
    store.sample(0, 30)
    store.sample(3, 1)
    store.quarantine(mark, len(HEADER + FIRST), header.encode(), "unknown_format")
    outcome = examine(settings, [file])
    assert counts(outcome) == {"read": 5, "stored": 2, "unread": 3}
    assert not outcome.agrees()
    assert [(each.line, each.reason, each.text) for each in outcome.examples] == [
        (3, "unread: no format knows this header", header)
    ]


def test_a_row_of_one_series_too_many_may_be_in_quarantine(store: Store, settings: Settings, file: Path) -> None:
    mark = written(file, row(1, 31, "GPU-2"))
    store.sample(0, 30)
    store.quarantine(mark, len(HEADER + FIRST), row(1, 31, "GPU-2").strip(), "too_many_series")
    outcome = examine(settings, [file])
    assert counts(outcome) == {"read": 2, "stored": 1, "quarantined": 1}
    assert outcome.reasons == {"too_old or too_new or too_many_series": 1}


def test_quarantine_is_said_and_is_no_difference(store: Store, settings: Settings, file: Path) -> None:
    mark = written(file, b"b\n", b"c\n", row(1, "x"))
    at = len(HEADER + FIRST)
    store.sample(0, 30)
    store.quarantine(mark, at, b"b", "bad_columns")
    store.quarantine(mark, at + 2, b"c", "bad_columns")
    store.quarantine(mark, at + 4, row(1, "x").strip(), "bad_value")
    outcome = examine(settings, [file])
    assert outcome.agrees()
    assert report(outcome).endswith("the database holds all of the files, 3 of it in quarantine: bad_columns 2, bad_value 1")


def test_extra_readings_may_be_allowed_and_their_sources_are_named(
    store: Store, settings: Settings, environ: dict[str, str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = written(file, row(2, 32))
    for second, value in ((0, 30), (1, 31), (2, 32)):
        store.sample(second, value)
    store.batch(mark, 0, 100)
    store.batch("another", 5, 100)
    outcome = examine(settings, [file])
    assert (outcome.differences(), outcome.others) == ({"extra": 1}, ("e/n /f",))
    assert outcome.differences(allow_extra=True) == {}
    for name, variable in environ.items():
        monkeypatch.setenv(name, variable)
    assert CliRunner().invoke(verify, [str(file)]).exit_code == 1
    allowed = CliRunner().invoke(verify, [str(file), "--allow-extra"])
    assert allowed.exit_code == 0
    assert allowed.stdout.endswith("the database holds all that the files say, and 1 readings more\n")


def test_a_row_of_the_future_may_be_in_either_place(store: Store, settings: Settings, file: Path) -> None:
    soon, late = (datetime.now(UTC) + timedelta(hours=hours) for hours in (0.5, 30))
    line = b"%b,DCGM_FI_DEV_GPU_TEMP,GPU-1,1\n"
    rows = [line % moment.isoformat().encode() for moment in (soon, late)]
    mark = written(file, *rows)
    store.sample(0, 30)
    assert counts(examine(settings, [file])) == {"read": 3, "stored": 1, "missing": 2}
    store.samples([("GPU-1", "DCGM_FI_DEV_GPU_TEMP", moment, 1) for moment in (soon, late)])
    assert counts(examine(settings, [file])) == {"read": 3, "stored": 2, "missing": 1}
    for place, raw in enumerate(rows):
        store.quarantine(mark, len(HEADER + FIRST) + place * len(rows[0]), raw.strip(), "too_new")
    assert counts(examine(settings, [file])) == {"read": 3, "stored": 1, "quarantined": 2}


def test_a_good_row_in_quarantine_is_missing(store: Store, settings: Settings, file: Path) -> None:
    mark = written(file)
    store.quarantine(mark, len(HEADER), FIRST.strip(), "bad_quotes")
    assert counts(examine(settings, [file])) == {"read": 1, "missing": 1}


RISE = "UPDATE retention SET kept_since = :since WHERE level = :level"


def test_what_is_below_the_floor_and_not_stored_is_expired(store: Store, settings: Settings, file: Path) -> None:
    mark = written(file, row(10, 31), row(20, 32), row(30, 33), b"bad\n")
    store.sample(30, 33)
    store.sample(0, 30)
    at = len(HEADER + FIRST) + 2 * len(row(10, 31))
    store.batch(mark, at, at + len(row(20, 32)), "dead")
    assert counts(examine(settings, [file])) == {"read": 5, "stored": 2, "missing": 3}
    since = {"since": START + timedelta(seconds=25), "level": "samples"}
    store.connection.execute(text(RISE), since)
    # What is stored is stored, wherever the floor is. A row that cannot be read has no time.
    assert counts(examine(settings, [file])) == {"read": 5, "stored": 2, "expired": 2, "missing": 1}


def test_expired_readings_are_no_difference_and_no_success_either(store: Store, settings: Settings, file: Path) -> None:
    written(file, row(10, 31))
    store.sample(10, 31)
    store.connection.execute(text(RISE), {"since": START + timedelta(seconds=5), "level": "samples"})
    outcome = examine(settings, [file])
    assert (counts(outcome), outcome.agrees()) == ({"read": 2, "stored": 1, "expired": 1}, True)
    assert report(outcome).endswith("1 expired: older than what the database keeps, it does NOT have them; it holds the rest")


def test_a_row_in_quarantine_that_is_not_kept_any_more_is_expired(store: Store, settings: Settings, file: Path) -> None:
    mark = written(file, b"bad\n", b"worse\n")
    store.sample(0, 30)
    store.batch(mark, 0, len(HEADER + FIRST + b"bad\n"))
    store.connection.execute(text("UPDATE batches SET quarantined = 1, committed_at = '2025-01-01'"))
    store.connection.execute(text(RISE), {"since": datetime(2024, 12, 1, tzinfo=UTC), "level": "quarantine"})
    assert counts(examine(settings, [file])) == {"read": 3, "stored": 1, "missing": 2}
    store.connection.execute(text(RISE), {"since": datetime(2025, 2, 1, tzinfo=UTC), "level": "quarantine"})
    assert counts(examine(settings, [file])) == {"read": 3, "stored": 1, "expired": 1, "missing": 1}


def test_a_replayed_file_is_told_apart(store: Store, settings: Settings, file: Path) -> None:
    mark = written(file)
    store.batch(mark, 0, 100, anchor=5)
    store.sample(0, 30)
    assert examine(settings, [file]).replayed == (file,)
    assert not examine(settings, [file]).agrees()
    store.batch(mark, 0, 100)
    assert examine(settings, [file]).agrees()


def test_the_longest_record_is_a_setting(store: Store, settings: Settings, file: Path) -> None:
    line = row(1, "0" * 1000 + "5")
    mark = written(file, line)
    store.sample(0, 30)
    store.quarantine(mark, len(HEADER + FIRST), line.strip(), "too_long")
    assert examine(replace(settings, max_record_bytes=1024), [file]).agrees()
    assert examine(settings, [file]).counts["missing"] == 1


def test_the_real_export(store: Store, settings: Settings, real_csv: Path) -> None:
    with real_csv.open(encoding="utf-8", newline="") as lines:
        rows = [
            (cells["uuid"], cells["metric_name"], datetime.fromisoformat(cells["timestamp"]), float(cells["value"]))
            for cells in csv.DictReader(lines)
        ]
    store.samples(rows)
    assert counts(examine(settings, [real_csv])) == {"read": len(rows), "stored": len(rows)}
    assert counts(examine(settings, [real_csv] * 2)) == {
        "read": 2 * len(rows),
        "stored": len(rows),
        "duplicate": len(rows),
    }


def test_the_command(
    store: Store, environ: dict[str, str], file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    written(file)
    store.sample(0, 30)
    run = CliRunner().invoke
    agreed = run(verify, [str(file), "--json"])
    lists: dict[str, object] = {"reasons": {}, "replayed": [], "others": [], "examples": []}
    lists["owners"] = {"minutes": 0, "missing": 0, "extra": 0}
    exact = dict.fromkeys(CLASSES, 0) | {"read": 1, "stored": 1} | lists
    assert (agreed.exit_code, json.loads(agreed.stdout)) == (0, exact)
    assert run(verify, [str(file)]).stdout.endswith("\n\nthe database holds exactly what the files say\n")
    store.sample(0, 1, "GPU-2")
    file.write_bytes(file.read_bytes() + row(0, 2, "GPU-2") + row(0, 2, "GPU-4"))
    differs = run(verify, [str(file), "--json"])
    assert differs.exit_code == 1
    assert json.loads(differs.stdout)["examples"][0] == {
        "path": str(file),
        "line": 4,
        "reason": "missing: not in samples",
        "text": row(0, 2, "GPU-4").decode().strip(),
    }
    store.batch(written(file), 0, 100, anchor=5)
    assert json.loads(run(verify, [str(file), "--json"]).stdout)["replayed"] == [str(file)]
    assert run(verify, [str(tmp_path / "none.csv")]).exit_code == 2
    assert run(verify, []).exit_code == 2
    monkeypatch.setenv("TELEMETRY_DATABASE_URL", "postgresql://localhost:1/none")
    away = run(verify, [str(file)])
    assert (away.exit_code, away.stderr.count("\n")) == (1, 1)
    assert "the database cannot be read" in away.stderr
