"""Settings of the flow of readings: how an edge reads and publishes, and how a collector stores."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime

from telemetry.readings.owners import USUAL_LABELS
from telemetry.settings import parsers, sources_file
from telemetry.settings.connections import ConnectionSettings
from telemetry.settings.parsers import flag, number
from telemetry.settings.sections import COLLECTOR, EDGE, RETENTION

# Labels that change without the thing measured being another one; they are not part of a series' identity.
VOLATILE_LABELS = (
    "DCGM_FI_DRIVER_VERSION",
    "DCGM_FI_CUDA_DRIVER_VERSION",
    "DCGM_FI_NVML_VERSION",
    "instance",
    "job",
)


def this_edge() -> str:
    """The name of an edge that was given none."""
    return f"local/{socket.gethostname().split('.')[0] or 'node'}"


@dataclass(frozen=True, slots=True)
class FlowSettings(ConnectionSettings):
    """The part of `telemetry.settings.fields.Settings` after that of connections."""

    edge: str = EDGE(this_edge, parsers.edge, "name of this streaming site, `cluster/node`; default `local/<host name>`")
    sources: tuple[str, ...] = EDGE((), parsers.words, "glob patterns of the CSV files to stream, separated by commas")
    source_settings: sources_file.Rules = EDGE(
        (),
        sources_file.parse,
        "TOML file that says of sources what their bytes do not: time zone, host, what columns mean; docs/CSV_FORMATS.md",
    )
    state_dir: str | None = EDGE(
        None,
        parsers.optional_text,
        "directory of each streamer's own, on a disk that outlives it: there it notes which files it has begun, so that one "
        "that was renamed is found although the broker loses its keys at the same time",
    )
    machine_id: str | None = EDGE(
        None,
        parsers.optional_text,
        "what tells this machine from others that are given the same edge name: of such only one streams; the same on all "
        "machines that share the files of an edge. Default: by /etc/machine-id and the kernel's boot",
    )
    sources_final: bool = EDGE(
        False, flag, "sources are whole when they appear, and nothing is appended: a last line needs no line end"
    )
    stream_interval_s: float = EDGE(1.0, number(float, 0.01, 3600), "seconds between two ticks of the streamer")
    batch_size: int = EDGE(100, number(int, 1, 100_000), "readings in a batch, at most")
    catch_up_size: int = EDGE(
        5000, number(int, 1, 100_000), "the same while a streamer is behind; never less than `TELEMETRY_BATCH_SIZE`"
    )
    loop_mode: bool = EDGE(False, flag, "replay: one batch a tick, timestamps moved to now, again from the start at the end")
    window_bytes: int = EDGE(
        8 << 20, number(int, 1 << 16, 1 << 30), "bytes of one source that may be published and not yet acknowledged"
    )
    edge_bytes: int = EDGE(64 << 20, number(int, 1 << 16, 1 << 34), "the same for all sources of an edge together")
    max_record_bytes: int = EDGE(1 << 16, number(int, 1 << 10, 1 << 24), "longest record; a longer one goes to quarantine")
    max_series: int = EDGE(
        100_000, number(int, 1, 10**8), "series that a source may make; readings of more go to quarantine as `too_many_series`"
    )
    inherit_headers: bool = EDGE(
        True, flag, "a file without a header is read by that of the file before it at its path, if its first records fit"
    )
    timestamp_floor: datetime = EDGE(
        datetime(2000, 1, 1, tzinfo=UTC), parsers.instant, "readings from before this time go to quarantine"
    )
    future_limit_s: int = EDGE(
        3600, number(int, 0, 10**9), "readings further than this after the time of reading go to quarantine"
    )
    lease_s: int = EDGE(30, number(int, 2, 3600), "seconds after which another replica may take a silent streamer's source")
    close_after_s: float = EDGE(
        60.0,
        number(float, 0, 86_400),
        "seconds without a change after which a file that was renamed or deleted is taken as closed, if no process has it open "
        "to write: a last line without its line end is read then, and the file is let go",
    )
    republish_after_s: float = EDGE(
        30.0, number(float, 0.1, 86_400), "age below which a batch is never published again, even if it seems to be lost"
    )

    collector_batch_size: int = COLLECTOR(
        40_000, number(int, 1, 1_000_000), "readings that a collector merges into one transaction, about"
    )
    poll_interval_s: float = COLLECTOR(
        0.015, number(float, 0, 60), "seconds that a collector waits at most for more readings to merge"
    )
    buffer_size: int = COLLECTOR(
        80_000, number(int, 1, 10**7), "readings that a collector holds uncommitted, at most; beyond them it fetches nothing"
    )
    series_cache_size: int = COLLECTOR(
        500_000, number(int, 100, 10**8), "series ids that a collector process remembers, in some 350 bytes each"
    )
    volatile_labels: tuple[str, ...] = COLLECTOR(
        VOLATILE_LABELS,
        parsers.words,
        "labels that are not part of a series' identity, separated by commas; to change them: `telemetry db rules change`",
    )
    owner_labels: tuple[str, ...] = COLLECTOR(
        USUAL_LABELS,
        parsers.words,
        "labels that say who used a GPU, separated by commas: they make owners and allocations, and no series; to change "
        "them: `telemetry db rules change`",
    )
    edge_messages_per_s: int = COLLECTOR(
        0,
        number(int, 0, 10**6),
        "messages that collectors take of one edge, over any 10 s together; what is beyond is dropped, and its edge sends it "
        "again; 0: no bound",
    )
    edge_bytes_per_s: int = COLLECTOR(0, number(int, 0, 1 << 40), "the same for the bytes of their payloads, which are packed")
    edge_rows_per_s: int = COLLECTOR(0, number(int, 0, 10**9), "the same for rows")
    edge_days_per_hour: int = COLLECTOR(
        0,
        number(int, 0, 10**6),
        "days that the readings of one edge may fall on in any hour; what is beyond is dropped, and its edge sends it again; a "
        "batch of more days alone is a dead letter; 0: no bound but that of a batch",
    )
    ack_ttl_s: int = COLLECTOR(
        86_400, number(int, 60, 10**7), "seconds after which an acknowledgement that nobody fetched expires"
    )
    gap_alert_s: int = COLLECTOR(
        300, number(int, 1, 10**7), "seconds after which bytes are reported that the ledger has passed and does not have"
    )
    seal_after_days: int = COLLECTOR(
        0,
        number(int, 0, 36_500),
        "days after its end at which a day of samples is sealed, once nothing was written to it for an hour: it then takes a "
        "fortieth of the room; 0: no day is sealed; set it when all of the centre is of a version that knows it",
    )

    retention_days: int = RETENTION(
        0,
        number(int, 0, 36_500),
        "days that samples are kept, counted from the newest, or from today if that is earlier; older ones are dropped for "
        "ever, by whole days, and by whole months where days are sealed; 0: for ever; set it for all collectors alike, when "
        "all of the centre is of a version that knows it",
    )
    retention_archived: bool = RETENTION(
        False,
        flag,
        "drop only samples of days that `telemetry archive` has written and verified; set it before the days, for all "
        "collectors alike",
    )
    archive_url: str | None = RETENTION(
        None,
        parsers.archive,
        "where `telemetry archive` writes sealed days: a directory, or `s3://bucket/path` or the like; the keys of an object "
        "store come from the environment, as pyarrow reads them",
    )
    retention_quarantine_days: int = RETENTION(
        0,
        number(int, 0, 36_500),
        "days that rows in quarantine and readings in conflict are kept, from the day on which they came; 0: for ever",
    )
    retention_events_days: int = RETENTION(
        0, number(int, 0, 36_500), "days that what was found of the health of GPUs is kept after it ended; 0: for ever"
    )
