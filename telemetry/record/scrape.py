"""Reads a Prometheus endpoint, such as a dcgm-exporter's: each sample that names a GPU."""

from __future__ import annotations

import base64
import http.client
import math
import re
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit

from prometheus_client.parser import text_string_to_metric_families

from telemetry.record.taken import Gpu, SourceError, Taken
from telemetry.redaction import blot

MOST_BYTES = 32 << 20
PIECE_BYTES = 64 << 10
# The labels by which exporters name a GPU. dcgm-exporter has the first of each; disks have a `uuid`, too.
UUIDS, INDEXES = ("UUID", "gpu_uuid", "uuid"), ("gpu", "gpu_id", "index")
OF_GPU = re.compile(r"(?:GPU|MIG)-.+", re.DOTALL)
INDEX = re.compile(r"\d{1,9}", re.ASCII)
# Their values stand in columns of their own.
IN_COLUMNS = {*UUIDS, *INDEXES, "device", "modelName", "Hostname"}
# The years 2001 to 2286: another time is a mistake.
FROM_S, TO_S = 1e9, 1e10
# What OpenMetrics adds to a sample.
EXEMPLAR = re.compile(r" # \{.*")
# A sample whose labels are known already, behind them: its value, and its time in milliseconds.
BEHIND = re.compile(r"[ \t]+([-+0-9.eE]+|NaN|[-+]?Inf)(?:[ \t]+(-?[0-9]{1,18}))?[ \t\r]*")
# So many sets of labels are remembered: those of pods change.
MOST_KNOWN = 100_000


class Scrape:
    """An endpoint at a URL, read directly, through no proxy and after no redirect. An answer has `timeout_s`, all of it.

    `host` is the name of the machine, whatever the endpoint says; without one, what the endpoint says counts, else this
    machine's own name.
    """

    may_be_empty = False

    def __init__(self, url: str, host: str | None, timeout_s: float, stopping: threading.Event | None = None) -> None:
        self.shown = blot(url)
        try:
            parts = urlsplit(url)
            self.port = parts.port
        except ValueError:
            raise SourceError(f"{self.shown} is no address") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SourceError(f"{self.shown} is no http:// or https:// address")
        self.parts = parts
        self.host = host
        self.timeout_s = timeout_s
        self.stopping = stopping or threading.Event()
        self._known = Known(host)

    def take(self) -> list[Taken]:
        """All readings of now. Raises SourceError."""
        try:
            return list(self._known.readings(self._text()))
        except ValueError as error:
            raise SourceError(f"{self.shown} does not answer in the format of Prometheus: {error}") from error

    def close(self) -> None:
        """Nothing is kept open."""

    def _text(self) -> str:
        until = time.monotonic() + self.timeout_s
        kind = http.client.HTTPSConnection if self.parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(str(self.parts.hostname), self.port, timeout=self.timeout_s)
        try:
            connection.request("GET", _target(self.parts), headers=_headers(self.parts))
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise SourceError(f"{self.shown} answers {answer.status} {answer.reason}")
            body = b"".join(self._pieces(answer, until))
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"{self.shown} cannot be read: {error}") from error
        finally:
            connection.close()
        # A value that was cut off is another value.
        if not body.endswith(b"\n") or answer.length:
            raise SourceError(f"{self.shown} broke off its answer")
        return body.decode(errors="replace")

    def _pieces(self, answer: http.client.HTTPResponse, until: float) -> Iterator[bytes]:
        size_bytes = 0
        while piece := answer.read1(PIECE_BYTES):
            size_bytes += len(piece)
            if size_bytes > MOST_BYTES:
                raise SourceError(f"{self.shown} answers more than {MOST_BYTES} bytes")
            if self.stopping.is_set() or time.monotonic() > until:
                raise SourceError(f"{self.shown} did not answer within {self.timeout_s:g} s")
            yield piece


class Known:
    """What names of metrics with their labels say, so that each is parsed once: that costs far more than a value does."""

    def __init__(self, host: str | None) -> None:
        self.host = host
        self._said: dict[str, tuple[str, Gpu] | None] = {}

    def readings(self, text: str) -> Iterator[Taken]:
        """The samples that name a GPU. Raises ValueError if the text is in another format."""
        for line in text.split("\n"):
            # The parser would add _total to the name of what a comment calls a counter; no exporter of GPUs has it.
            if not line or line.startswith("#"):
                continue
            sample = EXEMPLAR.sub("", line) if "#" in line else line
            named = sample[: sample.rfind("}") + 1] or sample.partition(" ")[0]
            match = BEHIND.fullmatch(sample, len(named))
            if match is None or named not in self._said:
                value, at_s = self._parsed(named, sample)
            else:
                value, at_s = float(match[1]), int(match[2]) / 1000 if match[2] else None
            said = self._said.get(named)
            if said is not None and (at_s is None or FROM_S < at_s < TO_S):
                yield Taken(*said, value, at_s)

    def _parsed(self, named: str, text: str) -> tuple[float, float | None]:
        """Note what a sample says of its metric and GPU; give its value and its time."""
        if len(self._said) >= MOST_KNOWN:
            self._said.clear()
        for family in text_string_to_metric_families(text + "\n"):
            for sample in family.samples:
                gpu = _gpu({name: value for name, value in sample.labels.items() if value}, sample.name, self.host)
                self._said[named] = (sample.name, gpu) if gpu else None
                return float(sample.value), None if sample.timestamp is None else float(sample.timestamp)
        return math.nan, None


def _gpu(labels: dict[str, str], metric: str, host: str | None) -> Gpu | None:
    """The GPU that labels name, None if they name none."""
    uuid, index = (next((labels[name] for name in names if name in labels), "") for names in (UUIDS, INDEXES))
    is_named = "UUID" in labels or "gpu_uuid" in labels or "gpu" in metric.lower() or OF_GPU.fullmatch(uuid) or "gpu" in labels
    if not is_named or not (uuid or INDEX.fullmatch(index)):
        return None
    others = {name: value for name, value in labels.items() if name not in IN_COLUMNS}
    machine = host or labels.get("Hostname") or socket.gethostname()
    return Gpu(uuid, index, labels.get("device", ""), labels.get("modelName", ""), machine, others)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"Accept": "text/plain", "Accept-Encoding": "identity"}
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    return headers
