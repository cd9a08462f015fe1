"""Sealed days: samples of days that are over stand as arrays, a row a series and day, and late ones beside them.

Revision 0015. Nothing is sealed by it. Collectors of before may run on while nothing is: they know nothing of
`late`, so sealing (`TELEMETRY_SEAL_AFTER_DAYS`, `telemetry db seal`) begins when all are of this version.

`samples_of`, `samples_first` and `samples_last` give the samples of a series from rows and sealed days, `stored_samples` those
of all series, `readings` the same for people. They are plain SQL, which Postgres puts in place of the call, so that their
times prune partitions and days.

Downgraded, sealed days would be lost: so it is refused while there are some.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# lz4 takes a quarter of pglz's time. Not every Postgres is built with it.
COMPRESS = """
    DO $$ BEGIN
        ALTER TABLE sealed ALTER low SET COMPRESSION lz4, ALTER middle SET COMPRESSION lz4, ALTER high SET COMPRESSION lz4,
            ALTER floats SET COMPRESSION lz4;
        ALTER TABLE sealed_times ALTER times SET COMPRESSION lz4;
    EXCEPTION WHEN feature_not_supported THEN RAISE NOTICE 'this Postgres has no lz4: pglz is used'; END $$
"""
VALUE = (
    "coalesce(n.plain, (coalesce(n.low, 0)::bigint + coalesce(n.middle, 0)::bigint * 65536"
    " + coalesce(n.high, 0)::bigint * 4294967296) / n.divisor)"
)
# In the list of columns unnest takes half the time that it takes in FROM, where its rows are kept before they are read. Nobody
# reads `place`: before Postgres 17 the planner takes an array for 10 elements, and such a series for 1,000.
UNPACKED = """
    SELECT s.series_id, s.divisor, unnest(t.times) AS ts, unnest(s.low) AS low, unnest(s.middle) AS middle,
           unnest(s.high) AS high, unnest(s.floats) AS plain, generate_series(1, s.n) AS place
    FROM {sealed} s JOIN sealed_times t ON (t.day, t.id) = (s.day, s.times_id) WHERE {conditions}
"""
DAYS = "BETWEEN (since AT TIME ZONE 'UTC')::date AND (until AT TIME ZONE 'UTC')::date"
TIMES = "BETWEEN since AND until"
# The same; of what has no statistics the planner thinks that nothing lies between two times.
INSIDE = "NOT (n.ts < since OR n.ts > until)"

SAMPLES_OF = f"""
    CREATE FUNCTION samples_of(series bigint, since timestamptz, until timestamptz)
    RETURNS TABLE (series_id bigint, ts timestamptz, value double precision) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000 AS $$
        SELECT r.series_id, r.ts, r.value FROM samples r WHERE r.series_id = series AND r.ts {TIMES}
        UNION ALL SELECT l.series_id, l.ts, l.value FROM late l WHERE l.series_id = series AND l.ts {TIMES}
        UNION ALL SELECT n.series_id, n.ts, {VALUE}
        FROM ({UNPACKED.format(sealed="sealed", conditions=f"s.series_id = series AND s.day {DAYS}")}) n WHERE {INSIDE}
    $$
"""  # noqa: S608 - parts of above
STORED_SAMPLES = f"""
    CREATE FUNCTION stored_samples(since timestamptz, until timestamptz)
    RETURNS TABLE (series_id bigint, ts timestamptz, value double precision) LANGUAGE sql STABLE PARALLEL SAFE AS $$
        SELECT r.series_id, r.ts, r.value FROM samples r WHERE r.ts {TIMES}
        UNION ALL SELECT l.series_id, l.ts, l.value FROM late l WHERE l.ts {TIMES}
        UNION ALL SELECT n.series_id, n.ts, {VALUE}
        FROM ({UNPACKED.format(sealed="sealed", conditions=f"s.day {DAYS}")}) n WHERE {INSIDE}
    $$
"""  # noqa: S608 - parts of above


def outermost(name: str, order: str) -> str:
    """The function that gives the first or the last samples of a series: of sealed days, as few as have so many."""
    enough = f"sum(w.n) OVER (ORDER BY w.day {order}) - w.n < most + first_value(w.n) OVER (ORDER BY w.day {order})"
    days = f"SELECT w.*, {enough} AS needed FROM sealed w WHERE w.series_id = series AND w.day {DAYS}"  # noqa: S608 - above
    return f"""
        CREATE FUNCTION {name}(series bigint, since timestamptz, until timestamptz, most integer)
        RETURNS TABLE (series_id bigint, ts timestamptz, value double precision) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
            SELECT u.series_id, u.ts, u.value FROM (
                (SELECT r.series_id, r.ts, r.value FROM samples r WHERE r.series_id = series AND r.ts {TIMES}
                 ORDER BY r.ts {order} LIMIT most)
                UNION ALL
                (SELECT l.series_id, l.ts, l.value FROM late l WHERE l.series_id = series AND l.ts {TIMES}
                 ORDER BY l.ts {order} LIMIT most)
                UNION ALL
                (SELECT n.series_id, n.ts, {VALUE} FROM ({UNPACKED.format(sealed=f"({days})", conditions="s.needed")}) n
                 WHERE {INSIDE} ORDER BY n.ts {order} LIMIT most)
            ) u ORDER BY u.ts {order} LIMIT most
        $$
    """  # noqa: S608 - parts of above


def readings(since: str, until: str) -> str:
    """What people ask: samples of a span with all that tells what they are. Series by series, so that others are not read."""
    return f"""
        SELECT r.ts AS "time", m.name AS metric, m.unit, g.identity AS gpu, g.host, g.gpu_index AS "index", g.model,
               s.labels, o.labels AS owner, r.value, s.id AS series
        FROM series s JOIN metrics m ON m.id = s.metric_id JOIN gpus g ON g.id = s.gpu_id
        CROSS JOIN LATERAL samples_of(s.id, {since}, {until}) r
        LEFT JOIN LATERAL (
            SELECT w.labels FROM allocations a JOIN owners w ON w.id = a.owner_id
            WHERE a.gpu_id = s.gpu_id AND a.instance = coalesce(s.mig_instance, '') AND NOT s.of_owner
                AND a.day = (r.ts AT TIME ZONE 'UTC')::date AND a.held @> r.ts
            ORDER BY upper(a.held) DESC, lower(a.held) DESC, w.id DESC LIMIT 1
        ) o ON true
    """  # noqa: S608 - the caller's word


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "sealed_spans",
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("end_day", sa.Date(), nullable=False),
        sa.Column("frozen", sa.Text(), nullable=True),
        sa.Column("bounds", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("samples", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("first_day", name=op.f("sealed_spans_pkey")),
    )
    op.create_table(
        "sealed_times",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("times", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.PrimaryKeyConstraint("day", "id", name=op.f("sealed_times_pkey")),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_table(
        "sealed",
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("times_id", sa.BigInteger(), nullable=False),
        sa.Column("divisor", sa.Double(), nullable=False),
        sa.Column("low", sa.ARRAY(sa.SmallInteger()), nullable=True),
        sa.Column("middle", sa.ARRAY(sa.SmallInteger()), nullable=True),
        sa.Column("high", sa.ARRAY(sa.Integer()), nullable=True),
        sa.Column("floats", sa.ARRAY(sa.Double()), nullable=True),
        sa.PrimaryKeyConstraint("series_id", "day", name=op.f("sealed_pkey")),
        postgresql_partition_by="RANGE (day)",
    )
    op.execute(COMPRESS)
    op.execute("CREATE TABLE sealing (LIKE sealed INCLUDING ALL)")
    op.create_table(
        "late",
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "ts", name=op.f("late_pkey")),
    )
    op.create_table(
        "partition_sizes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("partition_sizes_pkey")),
    )
    op.execute(SAMPLES_OF)
    op.execute(STORED_SAMPLES)
    op.execute(outermost("samples_first", "ASC"))
    op.execute(outermost("samples_last", "DESC"))
    op.execute("CREATE VIEW readings AS " + readings("'-infinity'", "'infinity'"))
    op.execute(f"""
        CREATE FUNCTION readings(since timestamptz, until timestamptz) RETURNS SETOF readings
        LANGUAGE sql STABLE PARALLEL SAFE AS $$
            {readings("since", "until")}
        $$
    """)


def downgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM sealed_spans) OR EXISTS (SELECT FROM late)")):
        raise sa.exc.InvalidRequestError("there are sealed days, which the schema of before cannot hold")
    op.execute("DROP FUNCTION readings(timestamptz, timestamptz)")
    op.execute("DROP VIEW readings")
    op.execute("DROP FUNCTION stored_samples(timestamptz, timestamptz)")
    op.execute("DROP FUNCTION samples_of(bigint, timestamptz, timestamptz)")
    for name in ("samples_first", "samples_last"):
        op.execute(f"DROP FUNCTION {name}(bigint, timestamptz, timestamptz, integer)")
    for name in ("partition_sizes", "late", "sealing", "sealed", "sealed_times", "sealed_spans"):
        op.drop_table(name)
