"""The boards of the fleet: all GPUs, one GPU, owners. They ask Postgres alone: they need no exporter and show all of history.

Not Prometheus: it would have to read remotely, does not ask remote storage for the values of a variable, and takes a bounded
number of samples, which Postgres aggregates where they are. Of a GPU and its MIG instances the GPU counts.
"""

# ruff: noqa: S608 - nobody's text is in these queries

from __future__ import annotations

from scripts.boards.render import Board, Panel

HOST, GPU, MODEL, NAMESPACE = "host", "gpu", "model", "namespace"
VARIABLES = {
    HOST: "SELECT DISTINCT host FROM gpus WHERE host IS NOT NULL ORDER BY host",
    GPU: (
        "SELECT identity AS __value, coalesce(host || ' ' || gpu_index, identity) AS __text FROM gpus"
        " WHERE ('*' IN (${host:sqlstring}) OR host IN (${host:sqlstring})) ORDER BY host, gpu_index, identity"
    ),
    MODEL: "SELECT DISTINCT model FROM gpus WHERE model IS NOT NULL ORDER BY model",
    NAMESPACE: "SELECT DISTINCT namespace FROM owners WHERE namespace IS NOT NULL ORDER BY namespace",
}
NAME = "coalesce(g.host || ' ' || g.gpu_index, g.identity)"
BIN = "date_bin(greatest($__interval_ms, 1000) * interval '1 ms', r.ts, 'epoch')"
FROM, TO = "$__timeFrom()::timestamptz", "$__timeTo()::timestamptz"
# The allocations of a sample's GPU at its time, and their owners.
OWNED = (
    " JOIN allocations a ON a.gpu_id = g.id AND a.instance = '' AND a.day = (r.ts AT TIME ZONE 'UTC')::date AND a.held @> r.ts"
    " JOIN owners o ON o.id = a.owner_id AND o.labels <> '{}'"
)
# The stretches of owners within the time of the board.
STRETCHES = (
    " FROM allocations a JOIN owners o ON o.id = a.owner_id AND o.labels <> '{}' JOIN gpus g ON g.id = a.gpu_id"
    f" CROSS JOIN LATERAL unnest(a.held * tstzmultirange(tstzrange({FROM}, {TO}))) AS stretch"
    f" WHERE a.day BETWEEN ({FROM} AT TIME ZONE 'UTC')::date AND ({TO} AT TIME ZONE 'UTC')::date"
)
HOURS = "sum(extract(epoch FROM upper(stretch) - lower(stretch))) / 3600"


def one_of(column: str, variable: str) -> str:
    """The condition that a column is one of those that are chosen; `*` stands for all."""
    chosen = f"${{{variable}:sqlstring}}"
    return f"('*' IN ({chosen}) OR {column} IN ({chosen}))"


GPUS = " AND ".join((one_of("g.host", HOST), one_of("g.identity", GPU), one_of("g.model", MODEL)))
OF_NAMESPACE = (
    f"('*' IN (${{{NAMESPACE}:sqlstring}}) OR EXISTS (SELECT FROM allocations a JOIN owners o ON o.id = a.owner_id"
    " WHERE a.gpu_id = g.id AND a.day = (r.ts AT TIME ZONE 'UTC')::date AND a.held @> r.ts"
    f" AND o.namespace IN (${{{NAMESPACE}:sqlstring}})))"
)
SOME = f"{GPUS} AND {OF_NAMESPACE}"
ONE = f"g.identity = ${{{GPU}:sqlstring}}"


def samples(*metrics: str, owned: bool = False) -> str:
    """The samples of metrics within the time of the board, with their series `s`, GPU `g` and metric `m`."""
    names = ", ".join(f"'DCGM_FI_{metric}'" for metric in metrics)
    return (
        " FROM metrics m JOIN series s ON s.metric_id = m.id JOIN gpus g ON g.id = s.gpu_id"
        f" CROSS JOIN LATERAL samples_of(s.id, {FROM}, {TO}) r{OWNED if owned else ''}"
        f" WHERE m.name IN ({names}) AND s.mig_instance IS NULL"
    )


def lines(value: str, by: str, source: str, where: str) -> str:
    """A line for each group: an aggregate of samples over time."""
    return f"SELECT {BIN} AS time, {by} AS metric, {value} AS value{source} AND {where} GROUP BY 1, 2 ORDER BY 1"


def sums(by: str, source: str, where: str) -> str:
    """A line for each group: the sum over its series of what each had on average."""
    inner = f"SELECT {BIN} AS time, {by} AS metric, s.id, avg(r.value) AS value{source} AND {where} GROUP BY 1, 2, 3"
    return f"SELECT time, metric, sum(value) AS value FROM ({inner}) of_series GROUP BY 1, 2 ORDER BY 1"


def largest(metric: str) -> str:
    """Lines of the ten GPUs with the largest values."""
    rows = lines("max(r.value)", NAME, samples(metric), SOME)
    top = "SELECT metric FROM rows GROUP BY 1 ORDER BY max(value) DESC, metric LIMIT 10"
    return f"WITH rows AS ({rows}) SELECT time, metric, value FROM rows WHERE metric IN ({top}) ORDER BY 1"


def table(title: str, query: str, columns: int = 12, about: str = "", unit: str = "short") -> Panel:
    """A table."""
    return Panel(title, query, unit, kind="table", language="postgres", about=about, columns=columns)


def graph(title: str, query: str, unit: str = "short", *, about: str = "", limit: float | None = None) -> Panel:
    """Lines over time."""
    return Panel(title, query, unit, language="postgres", about=about, limit=limit)


FLEET = Board(
    "fleet",
    "telemetry: GPU fleet",
    (
        table(
            "GPUs by model",
            "SELECT model, count(*) AS gpus, count(DISTINCT host) AS hosts FROM gpus g"
            f" WHERE {GPUS} GROUP BY model ORDER BY gpus DESC",
            8,
        ),
        Panel(
            "GPUs with a reading in the last 5 minutes",
            "SELECT count(DISTINCT g.id) AS gpus FROM allocations a JOIN gpus g ON g.id = a.gpu_id"
            f" WHERE a.day >= (now() AT TIME ZONE 'UTC')::date - 1 AND upper(a.held) > now() - interval '5 minutes' AND {GPUS}",
            kind="stat",
            language="postgres",
            columns=8,
        ),
        table(
            "Last XID of GPUs",
            "SELECT g.host, g.gpu_index AS gpu, r.value AS xid, r.ts AS time FROM metrics m JOIN series s ON s.metric_id = m.id"
            f" JOIN gpus g ON g.id = s.gpu_id CROSS JOIN LATERAL samples_last(s.id, {FROM}, {TO}, 1) r"
            f" WHERE m.name = 'DCGM_FI_DEV_XID_ERRORS' AND {SOME} ORDER BY r.value DESC, g.host, g.gpu_index LIMIT 100",
            8,
        ),
        graph("Utilisation by host", lines("avg(r.value)", "g.host", samples("DEV_GPU_UTIL"), SOME), "percent"),
        graph("Hottest GPUs", largest("DEV_GPU_TEMP"), "celsius", limit=88),
        graph("Power by host", sums("g.host", samples("DEV_POWER_USAGE"), SOME), "watt"),
        graph(
            "Memory in use by host",
            lines(
                "sum(r.value) FILTER (WHERE m.name = 'DCGM_FI_DEV_FB_USED') / nullif(sum(r.value), 0)",
                "g.host",
                samples("DEV_FB_USED", "DEV_FB_FREE"),
                SOME,
            ),
            "percentunit",
        ),
        graph("Double-bit errors", sums("g.host", samples("DEV_ECC_DBE_VOL_TOTAL"), SOME)),
        graph(
            "Utilisation by namespace",
            lines(
                "avg(r.value)",
                "o.namespace",
                samples("DEV_GPU_UTIL", owned=True),
                f"{GPUS} AND {one_of('o.namespace', NAMESPACE)}",
            ),
            "percent",
        ),
        graph("SM clock", lines("avg(r.value) * 1e6", "g.host", samples("DEV_SM_CLOCK"), SOME), "hertz"),
        graph("XIDs over time", largest("DEV_XID_ERRORS"), "none", about="Of the ten GPUs with the largest codes."),
    ),
    VARIABLES,
)

ONE_GPU = Board(
    "gpu",
    "telemetry: one GPU",
    (
        table(
            "The GPU",
            "SELECT g.identity AS gpu, g.host, g.gpu_index AS index, g.model, g.driver_version AS driver, g.first_seen"
            f" FROM gpus g WHERE {ONE}",
            columns=24,
        ),
        graph("Utilisation", lines("avg(r.value)", "m.name", samples("DEV_GPU_UTIL", "DEV_MEM_COPY_UTIL"), ONE), "percent"),
        graph("Temperature", lines("max(r.value)", "m.name", samples("DEV_GPU_TEMP", "DEV_MEMORY_TEMP"), ONE), "celsius"),
        graph("Power", lines("avg(r.value)", "m.name", samples("DEV_POWER_USAGE"), ONE), "watt"),
        graph("Memory", lines("max(r.value)", "m.name", samples("DEV_FB_USED", "DEV_FB_FREE"), ONE), "decmbytes"),
        graph("Clocks", lines("avg(r.value) * 1e6", "m.name", samples("DEV_SM_CLOCK", "DEV_MEM_CLOCK"), ONE), "hertz"),
        graph("XID", lines("max(r.value)", "m.name", samples("DEV_XID_ERRORS"), ONE), "none", about="The last one; it stays."),
        table(
            "Who had it",
            "SELECT lower(stretch) AS from, upper(stretch) AS to, o.namespace, o.pod, o.container, o.job, o.user, o.account"
            f"{STRETCHES} AND {ONE} ORDER BY 1 DESC LIMIT 500",
            columns=24,
            about="To the minute; a gap in the readings is a gap here.",
        ),
    ),
    {HOST: VARIABLES[HOST], GPU: VARIABLES[GPU]},
    single=GPU,
)

OWNERS = Board(
    "owners",
    "telemetry: owners of GPUs",
    (
        table(
            "GPU-hours by namespace, user and account",
            f"SELECT o.namespace, o.user, o.account, count(DISTINCT g.id) AS gpus, {HOURS} AS gpu_hours"
            f"{STRETCHES} AND {GPUS} AND {one_of('o.namespace', NAMESPACE)} GROUP BY 1, 2, 3 ORDER BY gpu_hours DESC LIMIT 200",
            about="Of the minutes that were read. Usage in the API bridges short gaps, and shares GPUs among their owners.",
        ),
        table(
            "GPU-hours by pod and job",
            f"SELECT o.namespace, o.pod, o.job, count(DISTINCT g.id) AS gpus, {HOURS} AS gpu_hours,"
            " min(lower(stretch)) AS from, max(upper(stretch)) AS to"
            f"{STRETCHES} AND {GPUS} AND {one_of('o.namespace', NAMESPACE)} GROUP BY 1, 2, 3 ORDER BY gpu_hours DESC LIMIT 200",
        ),
        graph(
            "GPU-hours a day",
            f"SELECT a.day::timestamptz AS time, o.namespace AS metric, {HOURS} AS hours"
            f"{STRETCHES} AND {GPUS} AND {one_of('o.namespace', NAMESPACE)} GROUP BY 1, 2 ORDER BY 1",
            "h",
        ),
        graph(
            "GPUs held",
            lines(
                "count(DISTINCT g.id)",
                "o.namespace",
                samples("DEV_GPU_UTIL", owned=True),
                f"{GPUS} AND {one_of('o.namespace', NAMESPACE)}",
            ),
        ),
        graph(
            "Utilisation",
            lines(
                "avg(r.value)",
                "o.namespace",
                samples("DEV_GPU_UTIL", owned=True),
                f"{GPUS} AND {one_of('o.namespace', NAMESPACE)}",
            ),
            "percent",
        ),
        graph(
            "Power",
            sums("o.namespace", samples("DEV_POWER_USAGE", owned=True), f"{GPUS} AND {one_of('o.namespace', NAMESPACE)}"),
            "watt",
        ),
        table(
            "Held GPUs that do least",
            f"SELECT o.namespace, o.pod, o.job, g.host, g.gpu_index AS gpu, avg(r.value) AS utilisation"
            f"{samples('DEV_GPU_UTIL', owned=True)} AND {GPUS} AND {one_of('o.namespace', NAMESPACE)}"
            " GROUP BY 1, 2, 3, 4, 5 ORDER BY utilisation, g.host, g.gpu_index LIMIT 50",
            columns=24,
            unit="percent",
        ),
    ),
    VARIABLES,
)
