"""The keys of a `[[source]]` that say what the columns of a wide file mean, as a `ColumnMapping`.

    time = { column = "timestamp", form = "epoch_s" }
    gpu = { index = "gpu" }
    [source.metrics]
    "GPU_Util(%)" = "DCGM_FI_DEV_GPU_UTIL"
    "power_mw" = "DCGM_FI_DEV_POWER_USAGE [mW]"

Here the keys are checked one by one. Which times there are is `times`, and whether a header fits is the format's to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from telemetry.readings.catalogue import KNOWN, lookup
from telemetry.readings.mapping import ROLES, ColumnMapping, Measured
from telemetry.readings.units import conversion, convertible, named
from telemetry.settings.times import Times
from telemetry.settings.toml_lines import MistakeError

KEYS = (
    *("time", "gpu", "metrics", "gpu_uuid", "gpu_model", "label_columns"),
    *("delimiter", "decimal", "thousands", "none", "ignore"),
)
METRIC = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]{0,254})(?: *\[([^\[\]]+)\])?")
DELIMITERS = (",", ";", "\t")
DECIMALS = (".", ",")
THOUSANDS = ("", ",", ".", " ", "'")
PREFIX = "DCGM_FI_"


def column_mapping(table: Mapping[str, Any], times: Times | None) -> ColumnMapping | None:
    """The mapping in a table, None where it has none of KEYS. Raises MistakeError."""
    given = [name for name in KEYS if name in table]
    if not given:
        return None
    if times is None:
        raise MistakeError(f"{given[0]} belongs to a mapping, which lacks time = {{ column = …, form = … }}", given[0])
    gpu, uuid, model = _texts(table, "gpu"), _text(table, "gpu_uuid"), _text(table, "gpu_model")
    if wrong := [name for name in gpu if name not in ROLES]:
        raise MistakeError(f"gpu has an unknown key {wrong[0]!r}; the keys are {', '.join(ROLES)}", "gpu", wrong[0])
    for role, constant in (("uuid", "gpu_uuid"), ("model", "gpu_model"), ("index", "gpu_index")):
        if role in gpu and constant in table:
            raise MistakeError(f"{role} of gpu is a column and {constant} holds for all records: keep one of them", constant)
    delimiter, decimal, thousands = (
        _one_of(table, name, default, choices)
        for name, default, choices in (
            ("delimiter", ",", DELIMITERS),
            ("decimal", ".", DECIMALS),
            ("thousands", "", THOUSANDS),
        )
    )
    labels, metrics, ignore = _texts(table, "label_columns"), _metrics(table), _list(table, "ignore")
    _check_once(times, gpu, labels, metrics, ignore)
    if decimal == thousands:
        raise MistakeError(f"decimal and thousands are both {decimal!r}: thousands must be another", "thousands")
    return ColumnMapping(
        times.columns,
        times.form,
        metrics,
        times.since_us,
        tuple(sorted(gpu.items())),
        uuid,
        model,
        tuple(sorted(labels.items())),
        *(delimiter, decimal, thousands),
        tuple(sorted(_list(table, "none"))),
        tuple(sorted(ignore)),
    )


def _check_once(
    times: Times, gpu: dict[str, str], labels: dict[str, str], metrics: tuple[Measured, ...], ignore: list[str]
) -> None:
    """That no column is said to be two things."""
    named = {*times.columns, *gpu.values(), *labels.values()}
    for known in metrics:
        other = "ignore" if known.column in ignore else "time, gpu or label_columns" if known.column in named else ""
        if other:
            raise MistakeError(f"the column {known.column!r} is in metrics and in {other}: keep one", "metrics", known.column)


def _metrics(table: Mapping[str, Any]) -> tuple[Measured, ...]:
    metrics = table.get("metrics")
    if not isinstance(metrics, dict) or not metrics:
        raise MistakeError('a mapping needs a table metrics, such as "power_w" = "DCGM_FI_DEV_POWER_USAGE"', "metrics")
    return tuple(sorted(_measured(column, metric) for column, metric in metrics.items()))


def _measured(column: str, metric: Any) -> Measured:
    if isinstance(metric, dict):
        inner = next(iter(metric), "")
        raise MistakeError(f'the column {column}.{inner} must stand in quotes: "{column}.{inner}" = …', "metrics", column)
    match = METRIC.fullmatch(metric) if isinstance(metric, str) else None
    if match is None:
        raise MistakeError(
            f"metrics: {column!r} must be the name of a metric, with its unit in brackets or without: "
            f'"DCGM_FI_DEV_POWER_USAGE [mW]"; it is {metric!r}. The other keys of a source stand above its metrics',
            "metrics",
            column,
        )
    name, spelt = match.groups()
    if name.startswith(PREFIX) and name not in KNOWN:
        near = get_close_matches(name, KNOWN, n=1)
        hint = f"did you mean {near[0]}?" if near else "no name is near to it;"
        raise MistakeError(
            f"metrics: {column!r}: {name} is no field of DCGM that is known here; {hint} "
            f"A metric of your own has a name without {PREFIX}",
            *("metrics", column),
        )
    return Measured(column, name, _unit(column, name, spelt))


def _unit(column: str, metric: str, spelt: str | None) -> str:
    """The unit of a column's cells: the one that is given, else that of the metric."""
    own = lookup(metric).unit or ""
    if spelt is None:
        return own
    unit = named(spelt)
    if metric in KNOWN and (unit is None or not own or not conversion(unit, own)):
        mend = f"those that do are {', '.join(convertible(own))}" if own else "it has none: leave the brackets out"
        raise MistakeError(f"metrics: {column!r}: [{spelt}] does not become the unit of {metric}; {mend}", "metrics", column)
    # Of a metric of their own nothing is converted: cells may have any unit behind them.
    return unit or spelt


def _text(table: Mapping[str, Any], name: str) -> str:
    text = table.get(name, "")
    if name in table and (not isinstance(text, str) or not text):
        raise MistakeError(f"{name} must be a text that is not empty", name)
    return str(text)


def _texts(table: Mapping[str, Any], name: str) -> dict[str, str]:
    texts = table.get(name, {})
    if not isinstance(texts, dict) or not all(isinstance(each, str) and each for each in texts.values()):
        raise MistakeError(f"{name} must be a table of texts, the names of columns", name)
    return texts


def _list(table: Mapping[str, Any], name: str) -> list[str]:
    texts = table.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(each, str) and each for each in texts):
        raise MistakeError(f'{name} must be a list of texts, such as ["a", "b"]', name)
    return texts


def _one_of(table: Mapping[str, Any], name: str, default: str, choices: tuple[str, ...]) -> str:
    text = table.get(name, default)
    if text not in choices:
        raise MistakeError(f"{name} must be one of {', '.join(map(repr, choices))}", name)
    return str(text)
