"""The settings of a process: those of connections and of the flow of readings, and here those of what answers and shows.

Each declares name, type, default, parser and meaning, in a section of docs/SETTINGS.md. Units stand in the names. `load` turns
the environment into an object, `parsers` has the parsers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from telemetry.health import rules_file
from telemetry.health.rules import SEVERITIES, Rules
from telemetry.readings import names
from telemetry.readings.rates import Rates
from telemetry.readings.source_settings import SourceSettings
from telemetry.settings import brokers, groups_file, load, logins, parsers, rates_file, sources_file
from telemetry.settings.flow import FlowSettings
from telemetry.settings.groups_file import Rights
from telemetry.settings.parsers import choice, flag, number
from telemetry.settings.sections import API, HEALTH, LOGIN, MONITORING, USAGE

Access = Literal["keys", "open"]


@dataclass(frozen=True, slots=True)
class Settings(FlowSettings):
    """The settings of one process; the meaning of each field is the `doc` of its metadata."""

    api_access: Access = API(
        "keys",
        choice(*get_args(Access)),
        "who may use the API: `keys` asks everybody for an API key, `open` lets in whoever is on the same machine",
    )
    api_cors_origins: tuple[str, ...] = API(
        (), parsers.words, "origins whose pages may use the API from a browser (CORS), separated by commas; none unless set"
    )
    flower_url: str | None = API(
        None,
        parsers.optional_text,
        "address of Flower, or its path on the same host, that the page links to; no link unless set",
    )
    api_rate_limit: str | None = API(
        "6000/minute", parsers.rate, "requests that one key, or one address without a key, may make; empty for no limit"
    )
    api_streams: int = API(
        2,
        number(int, 1, 1000),
        "live streams and long exports that one process of the API carries at once; with uploads, fewer than its threads",
    )
    api_uploads: int = API(
        1, number(int, 1, 1000), "uploads that one process of the API takes at once; with streams, fewer than its threads"
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

    oidc_issuer: str | None = LOGIN(
        None,
        logins.issuer,
        "provider by which people log in at the page, beside keys: the URL of its issuer, `https://…`; off unless set; "
        "docs/SECURITY.md",
    )
    oidc_client_id: str | None = LOGIN(None, parsers.optional_text, "name under which the page is registered there")
    oidc_client_secret: str | None = LOGIN(
        None, parsers.optional_text, "its secret; another one ends logins that have begun", secret=True
    )
    oidc_groups: tuple[Rights, ...] = LOGIN(
        (), groups_file.parse, "TOML file that says what the members of which group may do; docs/SECURITY.md"
    )
    oidc_claim: str = LOGIN(
        "groups",
        parsers.text,
        "claim that names a person's groups; `realm_access.roles` is the claim `roles` within the claim `realm_access`",
    )
    oidc_scopes: tuple[str, ...] = LOGIN(
        ("openid", "profile", "email"), logins.scopes, "scopes that are asked for, separated by commas; `openid` is one"
    )
    oidc_session_s: int = LOGIN(
        28_800, number(int, 60, 604_800), "seconds for which a person is logged in; their groups are asked for again after it"
    )
    page_url: str | None = LOGIN(
        None,
        logins.page,
        "address of the page as browsers reach it, `https://…`; unless it is set that which the browser asked for. The "
        "provider must know it with `/login/oidc/callback` behind it",
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
        environ = os.environ if environ is None else environ
        if environ.get("TELEMETRY_BROKER_URLS") and environ.get("TELEMETRY_BROKER_URL") == "":
            # Compose lays one file over another, and cannot take a variable away.
            environ = {name: value for name, value in environ.items() if name != "TELEMETRY_BROKER_URL"}
        settings = load.load(cls, environ)
        if settings.signatures == "required" and not settings.trust_secret:
            raise load.SettingsError(
                "TELEMETRY_SIGNATURES is required, and TELEMETRY_TRUST_SECRET is not set: no signature could be checked"
            )
        logins.check(settings)
        if settings.broker_urls and not {"TELEMETRY_BROKER_URL", "TELEMETRY_BROKER_URL_FILE"}.isdisjoint(environ):
            raise load.SettingsError("TELEMETRY_BROKER_URL and TELEMETRY_BROKER_URLS are both set; unset one")
        return settings.of_edge(settings.edge) if settings.role == "edge" else settings.at_broker(None)

    def of_edge(self, edge: str) -> Settings:
        """The settings of what streams for an edge, with the broker of that edge. Raises SettingsError."""
        return replace(self, edge=edge).at_broker(edge)

    def at_broker(self, edge: str | None) -> Settings:
        """These with the URL of the broker that an edge uses, or without one a process of the centre. Raises SettingsError."""
        if not self.broker_urls:
            return self
        try:
            name = brokers.own([name for name, _ in self.broker_urls], self.broker_name, self.broker_drained, edge)
        except ValueError as error:
            raise load.SettingsError(str(error)) from None
        return replace(self, broker_url=dict(self.broker_urls)[name])

    @property
    def brokers(self) -> dict[str, Settings]:
        """The settings by which each broker is used, by its name; that of a single one is empty."""
        if not self.broker_urls:
            return {"": self}
        return {name: replace(self, broker_name=name, broker_url=url) for name, url in self.broker_urls}

    @property
    def others(self) -> dict[str, Settings]:
        """The same of the brokers that this process does not use for itself."""
        return {name: one for name, one in self.brokers.items() if one.broker_url != self.broker_url}

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
