"""Settings of what every process is and of what it reaches: broker, database, and by which keys it is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from telemetry.settings import brokers, parsers
from telemetry.settings.parsers import choice, flag, number
from telemetry.settings.sections import BROKER, DATABASE, PROCESS, TRUST

Role = Literal["central", "edge"]
Level = Literal["debug", "info", "warning", "error"]
Form = Literal["console", "json"]
Belief = Literal["accepted", "required"]


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """The first part of `telemetry.settings.fields.Settings`."""

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
        "the Redis broker: redis://, rediss:// (TLS), redis+socket://, or sentinel://host:26379,host:26379/service/0 (TLS: "
        "sentinels://), whose user and password are those of the servers",
        secret=True,
    )
    broker_urls: brokers.Brokers = BROKER(
        (),
        brokers.named_urls,
        "in place of that, several brokers with their names: `north=redis://… south=redis://…`; docs/SCALING.md",
        secret=True,
    )
    broker_name: str = BROKER(
        "",
        lambda raw: parsers.name(raw) if raw.strip() else "",
        "which of several brokers this process uses; a collector needs it, an edge takes one by its own name unless it is set",
    )
    broker_drained: tuple[str, ...] = BROKER(
        (), brokers.names, "names of those of several brokers that edges leave; collectors go on until they are empty"
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
    sentinel_username: str | None = BROKER(
        None, parsers.optional_text, "user of the sentinels of a sentinel:// broker, if they have users"
    )
    sentinel_password: str | None = BROKER(
        None, parsers.optional_text, "password of these sentinels, if they have one; any characters", secret=True
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
        "seconds that a worker may be silent before what it has fetched is delivered again",
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
        "the central Postgres: postgresql://…, with several hosts (host:5432,host:5432) the one of them that takes writes",
        secret=True,
    )
    database_read_url: str | None = DATABASE(
        None,
        parsers.replica_url,
        "a replica that API, page and exporter read from while it does not lag; without a password that of the database",
        secret=True,
    )
    database_read_lag_s: float = DATABASE(
        10, number(float, 0.5, 3600), "seconds that the replica may lag; beyond them the primary is read"
    )
    database_password: str | None = DATABASE(
        None,
        parsers.optional_text,
        "password of the database, if its URL has none; any characters, nothing encoded",
        secret=True,
    )
    database_pooled: bool = DATABASE(
        False,
        flag,
        "of an API whose database URL leads to a pooler of transactions, such as PgBouncer: nothing is prepared, and the role "
        "must have the limits of a session; docs/SCALING.md",
    )
    lock_timeout_s: int = DATABASE(10, number(int, 1, 600), "Postgres lock_timeout of every session")
    statement_timeout_s: int = DATABASE(40, number(int, 1, 3600), "Postgres statement_timeout of every session")
    idle_timeout_s: int = DATABASE(30, number(int, 1, 3600), "Postgres idle_in_transaction_session_timeout of every session")
