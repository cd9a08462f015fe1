"""Declares every setting: name, type, default, parser and meaning, in sections that docs/SETTINGS.md shows as headings.

Units stand in the names. `load` turns the environment into an object, `parsers` has the parsers.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from telemetry.health import rules_file
from telemetry.health.rules import SEVERITIES, Rules
from telemetry.readings import names
from telemetry.readings.owners import OWNER_LABELS
from telemetry.readings.rates import Rates
from telemetry.readings.source_settings import SourceSettings
from telemetry.settings import load, parsers, rates_file, sources_file
from telemetry.settings.parsers import Parser, choice, flag, number

Role = Literal["central", "edge"]
Access = Literal["keys", "open"]
Level = Literal["debug", "info", "warning", "error"]
Form = Literal["console", "json"]
Belief = Literal["accepted", "required"]

# Labels that change without the thing measured being another one; they are not part of a series' identity.
VOLATILE_LABELS = (
    "DCGM_FI_DRIVER_VERSION",
    "DCGM_FI_CUDA_DRIVER_VERSION",
    "DCGM_FI_NVML_VERSION",
    "instance",
    "job",
)


def setting(section: str, default: Any, parse: Parser, doc: str, *, secret: bool = False) -> Any:
    """A field of `Settings`. A callable default is called for each object. A secret is left out of the object's repr."""
    metadata = {"section": section, "parse": parse, "doc": doc, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


# Sections, in the order of the page; the fields of one stand together.
PROCESS = partial(setting, "Every process")
BROKER = partial(setting, "Broker")
TRUST = partial(setting, "Trust")
DATABASE = partial(setting, "Database")
EDGE = partial(setting, "Edge")
COLLECTOR = partial(setting, "Collector")
API = partial(setting, "API and uploads")
USAGE = partial(setting, "Usage")
HEALTH = partial(setting, "Health of GPUs")
MONITORING = partial(setting, "Monitoring")


def this_edge() -> str:
    """The name of an edge that was given none."""
    return f"local/{socket.gethostname().split('.')[0] or 'node'}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process; the meaning of each field is the `doc` of its metadata."""

    role: Role = PROCESS("central", choice(*get_args(Role)), "what this process belongs to: `central` or `edge`")
    cluster: str = PROCESS(
        "",
        parsers.name,
        "name of the cluster this process runs in, for metrics; default: an edge's `cluster` of `cluster/node`, else `central`",
    )
    key_prefix: str = PROCESS("telemetry", parsers.name, "first part of every Redis key and queue name")
    data_dir: Path = PROCESS(Path(".telemetry"), parsers.path, "where `telemetry up` keeps its state")
    log_level: Level = PROCESS(
        "info",
        choice(*get_args(Level)),
        "how much our own loggers say: with `debug` a line a batch at each station; Celery's `-l` sets the level of libraries",
    )
    log_format: Form = PROCESS("console", choice(*get_args(Form)), "form of log lines: `console` or `json`")

    broker_url: str = BROKER(
        "redis://localhost:6379/0",
        parsers.broker_url,
        "the Redis broker: redis://, rediss:// (TLS) or redis+socket://",
        secret=True,
    )
    broker_username: str | None = BROKER(
        None, parsers.optional_text, "user of the broker, if its URL has none; any characters, nothing encoded"
    )
    broker_password: str | None = BROKER(
        None,
        parsers.optional_text,
        "password of the broker, if its URL has none; any characters, nothing encoded",
        secret=True,
    )
    broker_skip_verify: bool = BROKER(
        False, flag, "do not check the certificate of a rediss:// broker: the connection is encrypted, but anyone may answer"
    )
    broker_ca: str | None = BROKER(
        None, parsers.optional_text, "CA certificate file that a rediss:// broker is checked against"
    )
    broker_cert: str | None = BROKER(None, parsers.optional_text, "client certificate file for a rediss:// broker")
    broker_key: str | None = BROKER(None, parsers.optional_text, "key file of the client certificate")
    visibility_timeout_s: int = BROKER(
        300,
        number(int, 5, 86_400),
        "seconds after which a message that a worker fetched and never acknowledged is delivered again",
    )
    stall_s: int = BROKER(
        60, number(int, 1, 86_400), "seconds after which a worker ends that receives nothing while messages wait for it"
    )

    signing_key: str | None = TRUST(
        None,
        parsers.signing_key,
        "key by which an edge signs its batches, as `telemetry edge add` prints it; with it an edge believes only signed "
        "acknowledgements, so the centre needs its secret first",
        secret=True,
    )
    trust_secret: str | None = TRUST(
        None,
        parsers.trust_secret,
        "secret of the centre, of which it makes the credentials of edges; 32 characters or more, which no edge may know",
        secret=True,
    )
    signatures: Belief = TRUST(
        "accepted",
        choice(*get_args(Belief)),
        "`required`: a collector refuses batches that are not signed; `accepted`: only those whose signature is wrong",
    )

    database_url: str = DATABASE(
        "postgresql+psycopg://localhost/telemetry",
        parsers.database_url,
        "the central Postgres: postgresql://…",
        secret=True,
    )
    database_password: str | None = DATABASE(
        None,
        parsers.optional_text,
        "password of the database, if its URL has none; any characters, nothing encoded",
        secret=True,
    )
    lock_timeout_s: int = DATABASE(10, number(int, 1, 600), "Postgres lock_timeout of every session")
    statement_timeout_s: int = DATABASE(40, number(int, 1, 3600), "Postgres statement_timeout of every session")
    idle_timeout_s: int = DATABASE(30, number(int, 1, 3600), "Postgres idle_in_transaction_session_timeout of every session")

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
        "seconds without a change after which a file that was renamed or deleted is taken as closed: a last line without its "
        "line end is read then, and the file is let go",
    )
    republish_after_s: float = EDGE(
        30.0, number(float, 0.1, 86_400), "age below which a batch is never published again, even if it seems to be lost"
    )

    collector_batch_size: int = COLLECTOR(
        20_000, number(int, 1, 1_000_000), "readings that a collector merges into one transaction, about"
    )
    poll_interval_s: float = COLLECTOR(
        0.015, number(float, 0, 60), "seconds that a collector waits at most for more readings to merge"
    )
    buffer_size: int = COLLECTOR(
        80_000, number(int, 1, 10**7), "readings that a collector holds uncommitted, at most; beyond them it fetches nothing"
    )
    series_cache_size: int = COLLECTOR(200_000, number(int, 100, 10**8), "series ids that a collector process remembers")
    volatile_labels: tuple[str, ...] = COLLECTOR(
        VOLATILE_LABELS,
        parsers.words,
        "labels that are not part of a series' identity, separated by commas; to change them: `telemetry db rules change`",
    )
    owner_labels: tuple[str, ...] = COLLECTOR(
        OWNER_LABELS,
        parsers.words,
        "labels that say who used a GPU, separated by commas: they make owners and allocations, and no series; a list that "
        "is changed begins new series, under which readings that are read again are stored once more",
    )
    ack_ttl_s: int = COLLECTOR(
        86_400, number(int, 60, 10**7), "seconds after which an acknowledgement that nobody fetched expires"
    )
    gap_alert_s: int = COLLECTOR(
        300, number(int, 1, 10**7), "seconds after which bytes are reported that the ledger has passed and does not have"
    )

    api_access: Access = API(
        "keys",
        choice(*get_args(Access)),
        "who may use the API: `keys` asks everybody for an API key, `open` lets in whoever is on the same machine",
    )
    api_cors_origins: tuple[str, ...] = API(
        (), parsers.words, "origins whose pages may use the API from a browser (CORS), separated by commas; none unless set"
    )
    api_rate_limit: str | None = API(
        "6000/minute", parsers.rate, "requests that one key, or one address without a key, may make; empty for no limit"
    )
    api_streams: int = API(
        2,
        number(int, 1, 1000),
        "live streams and long exports that one process of the API carries at once; fewer than its threads",
    )
    spool_dir: Path = API(
        Path(".telemetry/spool"), parsers.path, "where uploads are kept for the streamer of `central/uploads`"
    )
    uploads: bool = API(
        True, flag, "take files at `POST /api/v1/telemetry`; false where no streamer of `central/uploads` reads the directory"
    )
    upload_max_bytes: int = API(1 << 30, number(int, 1 << 10, 1 << 40), "bytes of the largest upload, unpacked")
    spool_max_bytes: int = API(
        16 << 30, number(int, 1 << 10, 1 << 50), "bytes of all uploads that are kept, together; beyond them uploads are refused"
    )

    idle_below_percent: int = USAGE(
        5, parsers.whole_of(1, 5, 10, 15, 25, 50), "GPU utilisation below which a minute that somebody had a GPU counts as idle"
    )
    low_use_below_percent: int = USAGE(
        25,
        parsers.whole_of(1, 5, 10, 15, 25, 50),
        "the same for low use: such a minute that is not idle, below so much",
    )
    rates: Rates | None = USAGE(
        None, rates_file.parse, "TOML file of what an hour of each model and a kilowatt-hour cost; docs/FLEET.md"
    )

    health_rules: Rules = HEALTH(
        rules_file.defaults,
        rules_file.parse,
        "TOML file that changes the rules of `telemetry/health/defaults.toml`; docs/FLEET.md",
    )
    notify: tuple[str, ...] = HEALTH(
        (),
        parsers.addresses,
        "where the exporter tells of GPUs that are ill and well again: URLs of Apprise (the extra `notify`), separated by "
        "blanks, such as `mailtos://user:password@example.org?to=ops@example.org`, `slack://…` or `json://host/path`",
        secret=True,
    )
    notify_quiet_s: float = HEALTH(
        300.0, number(float, 0, 86_400), "seconds that pass at least between two messages; what comes meanwhile is one message"
    )
    notify_severity: str = HEALTH(
        "degraded", choice(*SEVERITIES), "what people are told of: `faulty`, `degraded` and what is faulty, or `note` and all"
    )

    metrics_port: int = MONITORING(
        0, number(int, 0, 65535), "port where this process serves `/metrics`, `/live` and `/ready`; 0 turns metrics off"
    )
    metrics_host: str = MONITORING("127.0.0.1", parsers.text, "address that port is opened on; `0.0.0.0` for all")
    heartbeat_file: Path | None = MONITORING(
        None,
        parsers.optional_path,
        "file that a worker or beat touches while its loop turns, for probes that cannot ask a port; a second one, named "
        "the same with `.ready` at its end, is there while the broker answers too",
    )
    exporter_interval_s: float = MONITORING(
        15.0,
        number(float, 0.1, 3600),
        "seconds between two looks of `telemetry exporter`; every fourth audits the ledger",
    )
    exporter_gpus: bool = MONITORING(False, flag, "export the latest value of each series too, under DCGM's names")
    database_capacity_bytes: int = MONITORING(
        0, number(int, 0, 1 << 60), "bytes the database may take, for the alert before it is full; 0: unknown"
    )
    traces: bool = MONITORING(
        False,
        flag,
        "send traces of batches by OpenTelemetry (the extra `otel`); the endpoint is `OTEL_EXPORTER_OTLP_ENDPOINT`",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings that an environment names, this process's unless given. Raises SettingsError for an unusable value."""
        settings = load.load(cls, os.environ if environ is None else environ)
        if settings.signatures == "required" and not settings.trust_secret:
            raise load.SettingsError(
                "TELEMETRY_SIGNATURES is required, and TELEMETRY_TRUST_SECRET is not set: no signature could be checked"
            )
        return settings

    def of_source(self, path: str) -> SourceSettings:
        """What the operator says of the file at a path."""
        return sources_file.source_settings(self.source_settings, path, self.edge.partition("/")[2])

    @property
    def cluster_name(self) -> str:
        """The cluster this process runs in."""
        return self.cluster or (names.Edge(self.edge).cluster if self.role == "edge" else "central")

    @property
    def ingest_queue(self) -> str:
        """The queue that carries batches from the edges to the collectors."""
        return names.ingest_queue(self.key_prefix)

    @property
    def tick_queue(self) -> str:
        """The queue of this edge's ticks."""
        return names.tick_queue(self.key_prefix, self.edge)
