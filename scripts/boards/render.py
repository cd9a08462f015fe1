"""Turns boards into the JSON that Grafana provisions. What each board shows stands in `definitions`.

Every board chooses its data sources by two variables, `prometheus` and `postgres`, so the files fit any Grafana, and marks when
alerts fired. A board may be narrowed by further variables. A test runs each panel's query against a running pipeline.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parents[2] / "telemetry" / "monitoring" / "boards"
COLUMNS, HEIGHT = 24, 8
# The oldest Grafana whose panels look like this.
SCHEMA_VERSION = 39

PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
ALERTS = {
    "name": "Alerts",
    "datasource": PROMETHEUS,
    "enable": True,
    "iconColor": "red",
    "expr": 'max by (alertname, severity) (ALERTS{alertstate="firing"})',
    "titleFormat": "{{alertname}}",
    "textFormat": "{{severity}}",
    "step": "60s",
}

Kind = Literal["timeseries", "stat", "table"]
Language = Literal["prometheus", "postgres"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `query` is PromQL or SQL, `legend` names its lines, and values above `limit` are red."""

    title: str
    query: str
    unit: str = "short"
    legend: str = ""
    kind: Kind = "timeseries"
    language: Language = "prometheus"
    about: str = ""
    limit: float | None = None
    columns: int = 12


@dataclass(frozen=True, slots=True)
class Board:
    """One page of pictures. `variables` are SQL that gives what each offers; a query uses them as `${name:sqlstring}`.

    Several values may be chosen, or all, which is `*`; of the one that is `single`, one.
    """

    name: str
    title: str
    panels: Sequence[Panel]
    variables: Mapping[str, str] = field(default_factory=dict)
    single: str = ""


def render(board: Board) -> str:
    """The file of a board."""
    return json.dumps(_board(board), indent=2, ensure_ascii=False) + "\n"


def files(boards: Sequence[Board]) -> Iterator[tuple[Path, str]]:
    """The path of each board's file, and its text."""
    for board in boards:
        yield FOLDER / f"{board.name}.json", render(board)


def _board(board: Board) -> dict[str, Any]:
    return {
        "uid": f"telemetry-{board.name}",
        "title": board.title,
        "tags": ["telemetry"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [_source("prometheus", "Prometheus"), _source("postgres", "Postgres"), *_variables(board)]},
        "annotations": {"list": [ALERTS]},
        "links": [{"type": "dashboards", "tags": ["telemetry"], "title": "telemetry", "asDropdown": True}],
        "panels": list(_placed(board.panels)),
    }


def _variables(board: Board) -> Iterator[dict[str, Any]]:
    source = {"type": _type("postgres"), "uid": "${postgres}"}
    for name, query in board.variables.items():
        # Grafana puts this in as it is, without the quotes of sqlstring.
        several = {"includeAll": True, "allValue": "'*'", "multi": True, "current": {"text": "All", "value": "$__all"}}
        shown = {"name": name, "label": name.capitalize(), "type": "query", "datasource": source, "refresh": 2, "query": query}
        yield shown | {"definition": query} | (several if name != board.single else {"includeAll": False, "multi": False})


def _source(name: Language, label: str) -> dict[str, Any]:
    return {"name": name, "label": label, "type": "datasource", "query": _type(name)}


def _type(language: Language) -> str:
    return "grafana-postgresql-datasource" if language == "postgres" else "prometheus"


def _placed(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    x = y = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.columns > COLUMNS:
            x, y = 0, y + HEIGHT
        yield _panel(panel, number) | {"gridPos": {"x": x, "y": y, "w": panel.columns, "h": HEIGHT}}
        x += panel.columns


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    source = {"type": _type(panel.language), "uid": f"${{{panel.language}}}"}
    steps: list[Mapping[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    defaults = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        shown = "line" if panel.limit is not None else "off"
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never", "thresholdsStyle": {"mode": shown}}
        legend = {"displayMode": "table", "placement": "bottom", "calcs": ["mean", "max", "lastNotNull"]}
        options: dict[str, Any] = {"legend": legend, "tooltip": {"mode": "multi"}}
    else:
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.kind == "stat" else {}
    return {
        "id": number,
        "title": panel.title,
        "description": panel.about,
        "type": panel.kind,
        "datasource": source,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [{"refId": "A", "datasource": source, **_target(panel)}],
    }


def _target(panel: Panel) -> dict[str, Any]:
    if panel.language == "postgres":
        shape = "time_series" if panel.kind == "timeseries" else "table"
        return {"rawQuery": True, "editorMode": "code", "format": shape, "rawSql": panel.query}
    instant = panel.kind != "timeseries"
    target = {"expr": panel.query, "legendFormat": panel.legend, "instant": instant, "range": not instant}
    return target | ({"format": "table"} if panel.kind == "table" else {})


def plain(query: str, *, interval: str, span: str, chosen: Mapping[str, str] | None = None) -> str:
    """A panel's query without Grafana's macros: rates over an interval (`5m`), times within a span before now (`1 hour`).

    Of each variable everything is chosen, or what `chosen` says.
    """
    within = rf"\1 BETWEEN now() - interval '{span}' AND now()"
    macros = {"$__timeFrom()": f"(now() - interval '{span}')", "$__timeTo()": "now()", "$__interval_ms": "1000"}
    for macro, meaning in {**macros, "$__rate_interval": interval}.items():
        query = query.replace(macro, meaning)
    query = re.sub(r"\$__timeFilter\(([^)]+)\)", within, query)
    return re.sub(r"\$\{([a-z]+):sqlstring\}", lambda match: f"'{(chosen or {}).get(match[1], '*')}'", query)
