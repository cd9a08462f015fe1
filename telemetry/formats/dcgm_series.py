"""Which series a record of the dcgm format belongs to: its metric, its GPU and its labels, from columns and `labels_raw`.

Another reading of these cells is a change of meaning: raise `Dcgm.version`, as `telemetry.formats.base` says.
"""

from __future__ import annotations

import re

from telemetry.formats import labels as label_sets
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings

METRIC, LABELS = "metric_name", "labels_raw"
UUID, HOST, INDEX, DEVICE, MODEL = "uuid", "Hostname", "gpu_id", "device", "modelName"
# A header has one of these sets of columns.
OF_GPU = ({UUID}, {HOST, INDEX})
NO_LABELS = {METRIC, LABELS, UUID, HOST, INDEX, DEVICE, MODEL}
# Names that say again what a column says. A column without a name, such as a data frame's index, says nothing.
REPEATED = {"", "__name__", "UUID", "gpu", "device", "modelName", "Hostname"}
OF_POD, EXPORTED = ("pod", "namespace", "container"), "exported_"
# Names that pandas gives to the numbers of rows.
ROW_NUMBER = re.compile(r"Unnamed: \d+|index|level_\d+", re.ASCII)
# What tools write for a UUID or a host that they do not know, and UUIDs of zeros alone.
NO_NAME = re.compile(
    r"\[?(?:n/a|unknown|unknown error|not supported|none|null|nan)\]?|-+|(?:(?:GPU|MIG)-0{8}-0{4}-0{4}-0{4}-0{12}|0[0-]*)",
    re.ASCII | re.IGNORECASE,
)

INDEX_TEXT = re.compile(r"\d{1,9}", re.ASCII)
# Of metric, UUID and host, as UTF-8: they are keys, and an index of Postgres takes none much longer than 2,700 bytes.
MAX_NAME_BYTES = 1024


def named_series(cells: dict[str, str], said: SourceSettings = NO_SETTINGS) -> tuple[str, str]:
    """The text of the series that a record's cells name, by column and stripped; or "" and the reason why they name none."""
    pairs = label_sets.parse(cells.get(LABELS, ""))
    labels = pairs or {}
    metric = cells[METRIC]
    uuid = named(cells.get(UUID)) or named(labels.get("UUID"))
    host = named(cells.get(HOST)) or named(labels.get("Hostname"))
    index = cells.get(INDEX) or labels.get("gpu", "")
    number = int(index) if INDEX_TEXT.fullmatch(index) else None
    if not metric:
        return "", "no_metric"
    if not uuid and (not host or number is None):
        return "", "no_gpu"
    if any(len(name.encode()) > MAX_NAME_BYTES for name in (metric, uuid, host)):
        return "", "long_name"
    if pairs is None:
        return "", "bad_labels"
    columns = {name: cell for name, cell in cells.items() if cell and name not in NO_LABELS and not ROW_NUMBER.fullmatch(name)}
    lasting = {name: text for name, text in (dict(said.labels) | labels | columns).items() if text and name not in REPEATED}
    if not said.keep_exporter:
        lasting = _of_the_user(lasting)
    device, model = (cells.get(name) or labels.get(name, "") for name in (DEVICE, MODEL))
    return SeriesKey(metric, uuid, host, number, device, model, lasting).text(), ""


def _of_the_user(labels: dict[str, str]) -> dict[str, str]:
    """Labels in which `exported_pod` stands for `pod`, and so on.

    Prometheus renames labels of a target's own series so where it has set its own, which name the exporter.
    Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/ on honor_labels.
    """
    users = {name: labels[EXPORTED + name] for name in OF_POD if EXPORTED + name in labels}
    return {name: text for name, text in labels.items() if name.removeprefix(EXPORTED) not in users} | users


def named(cell: str | None) -> str:
    """What a cell names, empty for what stands for no name."""
    return cell if cell and not NO_NAME.fullmatch(cell) else ""
