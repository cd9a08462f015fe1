"""The settings: one frozen object, read once from the environment.

Every field of `Settings` is the variable `TELEMETRY_<FIELD IN CAPITALS>`; those marked secret may also be given as
`TELEMETRY_<FIELD>_FILE`, the path of a file that holds the value. Nothing is connected here, and nothing else in the
package reads the environment. `docs/SETTINGS.md` is made from the same table.
"""

from __future__ import annotations

import difflib
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote, urlsplit

PREFIX = "TELEMETRY_"

Role = Literal["central", "edge"]

# Labels that change without the thing measured being another one; they are not part of a series' identity.
VOLATILE_LABELS = (
    "DCGM_FI_DRIVER_VERSION",
    "DCGM_FI_CUDA_DRIVER_VERSION",
    "DCGM_FI_NVML_VERSION",
    "instance",
    "job",
)


class SettingsError(ValueError):
    """A setting that cannot be used; the text names the variable and the mend."""


def _setting(default: Any, parse: Callable[[str], Any], doc: str, *, secret: bool = False) -> Any:
    metadata = {"parse": parse, "doc": doc, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


def _text(raw: str) -> str:
    if not raw.strip():
        raise ValueError("is empty; give a value or unset it")
    return raw.strip()


def _optional(raw: str) -> str | None:
    return raw.strip() or None


def _path(raw: str) -> Path:
    return Path(_text(raw)).expanduser()


def _name(raw: str) -> str:
    text = _text(raw)
    if not all(c.isalnum() or c in "-_." for c in text):
        raise ValueError(f"{text!r} may hold only letters, digits, '-', '_' and '.'")
    return text


def _edge(raw: str) -> str:
    text = _text(raw)
    cluster, slash, node = text.partition("/")
    if not (slash and cluster and node) or not all(c.isalnum() or c in "-_./" for c in text):
        raise ValueError(f"{text!r} must read cluster/node, of letters, digits, '-', '_' and '.'")
    return text


def _flag(raw: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[raw.strip().lower()]
    except KeyError:
        raise ValueError(f"{raw!r} must be true or false") from None


def _number(kind: type[int | float], low: float, high: float) -> Callable[[str], Any]:
    def parse(raw: str) -> Any:
        try:
            value = kind(raw)
        except ValueError:
            raise ValueError(f"{raw!r} must be {'a whole number' if kind is int else 'a number'}") from None
        if not low <= value <= high:
            raise ValueError(f"{raw!r} must lie between {low:g} and {high:g}")
        return value

    return parse


def _optional_path(raw: str) -> Path | None:
    return Path(raw.strip()).expanduser() if raw.strip() else None


def _words(raw: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in raw.replace("\n", ",").split(",") if word.strip())


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw.strip() not in choices:
            raise ValueError(f"{raw!r} must be one of: {', '.join(choices)}")
        return raw.strip()

    return parse


def _rate(raw: str) -> str | None:
    text = raw.strip()
    number, slash, unit = text.partition("/")
    if text and not (slash and number.isascii() and number.isdigit() and unit in {"second", "minute", "hour", "day"}):
        raise ValueError(f"{raw!r} must read like 600/minute, with second, minute, hour or day, or be empty")
    return text or None


def _instant(raw: str) -> datetime:
    try:
        value = datetime.fromisoformat(raw.strip())
    except ValueError:
        raise ValueError(f"{raw!r} must be a time like 2000-01-01T00:00:00Z") from None
    if value.tzinfo is None:
        raise ValueError(f"{raw!r} must carry a zone, such as a Z at its end")
    return value.astimezone(UTC)


def _broker_url(raw: str) -> str:
    url = _text(raw)
    if url.split("://")[0] not in {"redis", "rediss", "redis+socket"}:
        raise ValueError("must start with redis://, rediss:// or redis+socket://")
    _check_port(url)
    return url


def _database_url(raw: str) -> str:
    scheme, _, rest = _text(raw).partition("://")
    if scheme not in {"postgresql", "postgres", "postgresql+psycopg"} or not rest:
        raise ValueError("must start with postgresql://")
    _check_port(f"{scheme}://{rest}")
    return f"postgresql+psycopg://{rest}"


def _check_port(url: str) -> None:
    try:
        _ = urlsplit(url).port
    except ValueError:
        # Its own text may hold the password.
        raise ValueError(
            "names no port from 0 to 65535; in a user or password write @ : / # ? % as %40 %3A %2F %23 %3F %25"
        ) from None


def _this_edge() -> str:
    return f"local/{socket.gethostname().split('.')[0] or 'node'}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process was told. Units stand in the names; see each field's doc in the metadata."""

    role: Role = _setting("central", _choice(*get_args(Role)), "what this process belongs to: `central` or `edge`")
    broker_url: str = _setting(
        "redis://localhost:6379/0",
        _broker_url,
        "the Redis broker: redis://, rediss:// (TLS) or redis+socket://",
        secret=True,
    )
    broker_password: str | None = _setting(
        None, _optional, "password of the broker, where its URL names none; any characters, nothing encoded", secret=True
    )
    broker_skip_verify: bool = _setting(
        False, _flag, "do not check the certificate of a rediss:// broker: encrypted, but anyone may answer"
    )
    broker_ca: str | None = _setting(None, _optional, "CA certificate file that a rediss:// broker is checked against")
    broker_cert: str | None = _setting(None, _optional, "client certificate file for a rediss:// broker")
    broker_key: str | None = _setting(None, _optional, "key file of the client certificate")
    database_url: str = _setting(
        "postgresql+psycopg://localhost/telemetry", _database_url, "the central Postgres: postgresql://…", secret=True
    )
    database_password: str | None = _setting(
        None, _optional, "password of the database, where its URL names none; any characters, nothing encoded", secret=True
    )
    edge: str = _setting(_this_edge, _edge, "name of this streaming site, `cluster/node`; default `local/<host name>`")
    cluster: str = _setting(
        "",
        _name,
        "name of the cluster this process runs in, for metrics; default: an edge's `cluster` of `cluster/node`, else `central`",
    )
    key_prefix: str = _setting("telemetry", _name, "first part of every Redis key and queue name")
    data_dir: Path = _setting(Path(".telemetry"), _path, "where `telemetry up` keeps its state")

    sources: tuple[str, ...] = _setting((), _words, "glob patterns of the CSV files to stream, separated by commas")
    sources_final: bool = _setting(
        False, _flag, "sources are whole when they appear, and nothing is appended: a last line needs no line end"
    )
    stream_interval_s: float = _setting(1.0, _number(float, 0.01, 3600), "seconds between two ticks of the streamer")
    batch_size: int = _setting(100, _number(int, 1, 100_000), "readings in a batch, at most")
    catch_up_size: int = _setting(
        5000, _number(int, 1, 100_000), "the same while a streamer is behind; never less than `TELEMETRY_BATCH_SIZE`"
    )
    loop_mode: bool = _setting(
        False, _flag, "replay: one batch a tick, timestamps moved to now, again from the start at the end"
    )
    window_bytes: int = _setting(
        8 << 20, _number(int, 1 << 16, 1 << 30), "bytes of one source that may be published and not yet acknowledged"
    )
    edge_bytes: int = _setting(64 << 20, _number(int, 1 << 16, 1 << 34), "the same for all sources of an edge together")
    max_record_bytes: int = _setting(1 << 16, _number(int, 1 << 10, 1 << 24), "longest record; a longer one goes to quarantine")
    timestamp_floor: datetime = _setting(
        datetime(2000, 1, 1, tzinfo=UTC), _instant, "readings from before this time go to quarantine"
    )
    future_limit_s: int = _setting(
        3600, _number(int, 0, 10**9), "readings further than this after the time of reading go to quarantine"
    )
    lease_s: int = _setting(
        30, _number(int, 2, 3600), "seconds after which another replica may take a silent streamer's source"
    )
    close_after_s: float = _setting(
        60.0,
        _number(float, 0, 86_400),
        "seconds without a change after which a file that was renamed or deleted is taken as closed: a last line without its "
        "line end is read then, and the file let go of",
    )
    republish_after_s: float = _setting(
        30.0,
        _number(float, 0.1, 86_400),
        "age below which a batch is never published again, whatever speaks for its loss",
    )

    visibility_timeout_s: int = _setting(
        300,
        _number(int, 5, 86_400),
        "seconds after which a message that a worker fetched and never acknowledged is delivered again",
    )
    stall_s: int = _setting(
        60, _number(int, 1, 86_400), "seconds after which a worker ends that receives nothing while messages wait for it"
    )
    collector_batch_size: int = _setting(
        20_000, _number(int, 1, 1_000_000), "readings that a collector merges into one transaction, about"
    )
    poll_interval_s: float = _setting(
        0.015, _number(float, 0, 60), "seconds that a collector waits at most for more readings to merge"
    )
    buffer_size: int = _setting(
        80_000, _number(int, 1, 10**7), "readings that a collector holds uncommitted, at most; it fetches none beyond them"
    )
    api_access: Literal["keys", "open"] = _setting(
        "keys",
        _choice("keys", "open"),
        "who may use the API: `keys` asks everybody for an API key, `open` lets in whoever is on the same machine",
    )
    api_cors_origins: tuple[str, ...] = _setting(
        (), _words, "origins whose pages may use the API from a browser (CORS), separated by commas; none unless set"
    )
    api_rate_limit: str | None = _setting(
        "6000/minute", _rate, "requests that one key, or one address without a key, may make; empty for no limit"
    )
    api_streams: int = _setting(
        2,
        _number(int, 1, 1000),
        "live streams and long exports that one process of the API carries at once; fewer than its threads",
    )
    spool_dir: Path = _setting(Path(".telemetry/spool"), _path, "where uploads are kept for the streamer of `central/uploads`")
    uploads: bool = _setting(
        True, _flag, "take files at `POST /api/v1/telemetry`; false where no streamer of `central/uploads` reads the directory"
    )
    upload_max_bytes: int = _setting(1 << 30, _number(int, 1 << 10, 1 << 40), "bytes of the largest upload, unpacked")
    spool_max_bytes: int = _setting(
        16 << 30, _number(int, 1 << 10, 1 << 50), "bytes of all uploads together that are kept; beyond that they are refused"
    )
    series_cache_size: int = _setting(200_000, _number(int, 100, 10**8), "series ids a collector process remembers")
    volatile_labels: tuple[str, ...] = _setting(
        VOLATILE_LABELS, _words, "labels that do not make a series another one, separated by commas"
    )
    ack_ttl_s: int = _setting(86_400, _number(int, 60, 10**7), "seconds after which an acknowledgement nobody fetched expires")
    gap_alert_s: int = _setting(
        300, _number(int, 1, 10**7), "seconds after which bytes the ledger has passed without having them are reported"
    )
    lock_timeout_s: int = _setting(10, _number(int, 1, 600), "Postgres lock_timeout of every session")
    statement_timeout_s: int = _setting(40, _number(int, 1, 3600), "Postgres statement_timeout of every session")
    idle_timeout_s: int = _setting(30, _number(int, 1, 3600), "Postgres idle_in_transaction_session_timeout of every session")

    metrics_port: int = _setting(
        0, _number(int, 0, 65535), "port where this process serves `/metrics`, `/live` and `/ready`; 0 turns metrics off"
    )
    metrics_host: str = _setting("127.0.0.1", _text, "address that port is opened on; `0.0.0.0` for all")
    heartbeat_file: Path | None = _setting(
        None,
        _optional_path,
        "file that a worker or beat touches while its loop turns, for probes that cannot ask a port; one of that name and "
        "`.ready` is there while the broker answers too",
    )
    exporter_interval_s: float = _setting(
        15.0,
        _number(float, 0.1, 3600),
        "seconds between two looks of `telemetry exporter`; every fourth audits the ledger",
    )
    exporter_gpus: bool = _setting(False, _flag, "export the latest value of each series too, under DCGM's names")
    database_capacity_bytes: int = _setting(
        0, _number(int, 0, 1 << 60), "bytes the database may take, for the alert before it is full; 0: unknown"
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info",
        _choice("debug", "info", "warning", "error"),
        "how much our own loggers say: with `info` a line a batch at each station; what libraries say is up to Celery's `-l`",
    )
    traces: bool = _setting(
        False,
        _flag,
        "send traces of batches by OpenTelemetry (the extra `otel`); the endpoint is `OTEL_EXPORTER_OTLP_ENDPOINT`",
    )
    log_format: Literal["console", "json"] = _setting(
        "console", _choice("console", "json"), "form of log lines: `console` or `json`"
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings an environment names. Raises SettingsError for a value that cannot be used."""
        env = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for item in fields(cls):
            raw = _raw(env, item)
            if raw is not None:
                try:
                    values[item.name] = item.metadata["parse"](raw)
                except ValueError as error:
                    # A secret's value may stand in the error of its parser only if the parser leaves it out.
                    raise SettingsError(f"{variable(item)} {error}") from None
        return _with_passwords(cls(**values))

    @property
    def cluster_name(self) -> str:
        """The cluster this process runs in."""
        return self.cluster or (self.edge.partition("/")[0] if self.role == "edge" else "central")

    @property
    def ingest_queue(self) -> str:
        """The queue that carries batches from the edges to the collectors."""
        return f"{self.key_prefix}.ingest"

    @property
    def tick_queue(self) -> str:
        """The queue of this edge's ticks; each edge has its own, so no node takes another's files."""
        return f"{self.key_prefix}.tick.{self.edge}"


def _with_passwords(settings: Settings) -> Settings:
    """The URLs with the passwords that were given apart from them, encoded as a URL wants it."""
    for name in ("broker", "database"):
        password: str | None = getattr(settings, f"{name}_password")
        if password is None:
            continue
        parts = urlsplit(getattr(settings, f"{name}_url"))
        if parts.password is not None:
            raise SettingsError(
                f"{PREFIX}{name.upper()}_URL holds a password, and {PREFIX}{name.upper()}_PASSWORD is set; unset one"
            )
        user, _, host = parts.netloc.rpartition("@")
        url = parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()
        settings = replace(settings, **{f"{name}_url": url})
    return settings


def variable(item: Field[Any]) -> str:
    """The name of a field's environment variable."""
    return PREFIX + item.name.upper()


def _raw(env: Mapping[str, str], item: Field[Any]) -> str | None:
    name = variable(item)
    if not item.metadata["secret"] or f"{name}_FILE" not in env:
        return env.get(name)
    if name in env:
        raise SettingsError(f"{name} and {name}_FILE are both set; unset one")
    path = env[f"{name}_FILE"]
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE names {path!r}, which cannot be read: {error}") from None


def misspelt(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Variables that look like a setting and are none, each with the setting it is closest to.

    Only near misses are told: Kubernetes itself puts variables with our prefix into pods beside a Service of that name.
    """
    known = [variable(item) for item in fields(Settings)]
    known += [f"{variable(item)}_FILE" for item in fields(Settings) if item.metadata["secret"]]
    found = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            found += [(name, close[0])] if close else []
    return found


@cache
def tell_misspelt() -> None:
    """Say on standard error, once in a process, which variables of the environment look like a setting and are none."""
    for name, close in misspelt(os.environ):
        sys.stderr.write(f"telemetry: {name} is no setting; is {close} meant?\n")


def documentation() -> str:
    """The page about all settings in Markdown, as `docs/SETTINGS.md` holds it."""
    lines = [
        "# Settings",
        "",
        "Every process reads them once, at its start, from the environment. A value that cannot be used ends the process with",
        "one line that names the variable. Those marked *secret* may also be given as a file: `TELEMETRY_…_FILE` names it, and",
        "its content without surrounding white space is the value.",
        "",
        "| variable | default | meaning |",
        "| --- | --- | --- |",
    ]
    for item in fields(Settings):
        default = "" if item.default in {MISSING, None, ()} else item.default
        shown = ", ".join(default) if isinstance(default, tuple) else str(default)
        secret = " *Secret.*" if item.metadata["secret"] else ""
        lines.append(f"| `{variable(item)}` | {f'`{shown}`' if shown else ''} | {item.metadata['doc']}{secret} |")
    return "\n".join(lines) + "\n"
