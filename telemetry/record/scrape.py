"""Reads a Prometheus endpoint, such as a dcgm-exporter's: each sample that names a GPU."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from telemetry.record.taken import Gpu, SourceError, Taken
from telemetry.redaction import blot

MOST_BYTES = 32 << 20
# The labels by which exporters name a GPU. dcgm-exporter has the first of each.
UUIDS, INDEXES = ("UUID", "uuid", "gpu_uuid"), ("gpu", "gpu_id", "index", "minor_number")
# Their values stand in columns of their own.
IN_COLUMNS = {*UUIDS, *INDEXES, "device", "modelName", "Hostname"}


class Scrape:
    """An endpoint at a URL. `host` names the machine where the endpoint does not; `timeout_s` is how long it may take."""

    def __init__(self, url: str, host: str, timeout_s: float) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise SourceError(f"{blot(url)} is no http:// or https:// address")
        self.url = url
        self.host = host
        self.timeout_s = timeout_s

    def take(self) -> list[Taken]:
        """All readings of now. Raises SourceError."""
        try:
            return list(readings(self._text(), self.host))
        except ValueError as error:
            raise SourceError(f"{blot(self.url)} does not answer in the format of Prometheus: {error}") from error

    def close(self) -> None:
        """Nothing is kept open."""

    def _text(self) -> str:
        request = urllib.request.Request(self.url, headers={"Accept": "text/plain"})  # noqa: S310 - the scheme was checked
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310 - the scheme was checked
                body: bytes = answer.read(MOST_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise SourceError(f"{blot(self.url)} cannot be read: {reason}") from error
        if len(body) > MOST_BYTES:
            raise SourceError(f"{blot(self.url)} answers more than {MOST_BYTES} bytes")
        return body.decode(errors="replace")


def readings(text: str, host: str) -> Iterator[Taken]:
    """The samples that name a GPU. Raises ValueError if the text is in another format."""
    # The parser would add _total to the name of what a comment calls a counter; no exporter of GPUs has it.
    samples = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    for family in text_string_to_metric_families(samples):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if value}
            uuid, index = (next((labels[name] for name in names if name in labels), "") for names in (UUIDS, INDEXES))
            if uuid or index:
                gpu = Gpu(
                    uuid,
                    index,
                    labels.get("device", ""),
                    labels.get("modelName", ""),
                    labels.get("Hostname", host),
                    {name: value for name, value in labels.items() if name not in IN_COLUMNS},
                )
                at_s = None if sample.timestamp is None else float(sample.timestamp)
                yield Taken(sample.name, gpu, float(sample.value), at_s)
