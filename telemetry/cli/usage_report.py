"""The report of usage: one HTML file that needs nothing from elsewhere. Its rows are `usage`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from telemetry.store.read.usage import UsageGroup, Use, to_the_minute

Rows = Sequence[Mapping[str, Any]]
# The tables, by what they are grouped by; none: the whole.
GROUPS: tuple[tuple[UsageGroup, ...], ...] = (
    (),
    ("namespace",),
    ("user", "account"),
    ("namespace", "pod"),
    ("job",),
    ("model",),
    ("host",),
)
TITLES = {
    ("namespace",): "By namespace",
    ("user", "account"): "By user and account",
    ("namespace", "pod"): "Pods that held the most idle hours",
    ("job",): "Jobs that held the most idle hours",
    ("model",): "By model",
    ("host",): "By host",
}
# Of these the worst are shown, and how many there are.
WORST = {("namespace", "pod"), ("job",)}
MOST_ROWS = 20
STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --soft: #60646c; --line: #d9d9e0; --back: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --text: #edeef0; --soft: #b0b4ba; --line: #363a3f; --back: #111113; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 1180px;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } p, caption { color: var(--soft); }
table { border-collapse: collapse; width: 100%; } th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
th { text-align: left; font-weight: 600; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""
COLUMNS = {
    "held_hours": "Held h",
    "coverage": "Covered",
    "idle_hours": "Idle h",
    "low_use_hours": "Low use h",
    "duty_cycle": "Busy",
    "free_hours": "Free h",
    "energy_kwh": "kWh",
    "cost": "Cost",
}
SHARES = ("coverage", "duty_cycle")


def page(asked: Use, tables: Mapping[tuple[UsageGroup, ...], Rows], made_at: datetime) -> str:
    """The report of a span, from the rows of each of GROUPS."""
    whole = tables[()][0] if tables[()] else {}
    span = f"{to_the_minute(asked.start):%Y-%m-%d %H:%M} to {to_the_minute(asked.end):%Y-%m-%d %H:%M} UTC"
    parts = "".join(_section(asked, groups, tables[groups]) for groups in GROUPS if groups and _says(groups, tables[groups]))
    title = f"GPU usage, {span}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n{_summary(asked, whole)}{parts}{_meaning(asked)}"
        f"<p>Made {made_at:%Y-%m-%d %H:%M} UTC.</p></body></html>\n"
    )


def _says(groups: tuple[str, ...], rows: Rows) -> bool:
    """Whether a table has a row with a name."""
    return any(row[name] is not None for row in rows for name in groups)


def _summary(asked: Use, whole: Mapping[str, Any]) -> str:
    if not whole:
        return "<p>No GPU was read in this time.</p>\n"
    held, free = whole["held_hours"], whole["free_hours"]
    sentences = [f"{held:,.1f} of {held + free:,.1f} GPU-hours were held, {free:,.1f} were free."]
    if whole["idle_hours"] is not None:
        sentences.append(f"{whole['idle_hours']:,.1f} held hours were idle, {whole['low_use_hours']:,.1f} of low use.")
    if whole["coverage"] is not None:
        sentences.append(f"{whole['coverage']:.1%} of the held time has readings.")
    if whole["energy_kwh"] is not None:
        source = {"both": "counters, and from power where there is none"}.get(whole["energy_from"], whole["energy_from"])
        sentences.append(f"{whole['energy_kwh']:,.1f} kWh were drawn, taken from {source}.")
    if asked.rates:
        sentences.append(f"The cost is {whole['cost']:,.2f} {asked.rates.currency}.")
    return "".join(f"<p>{escape(line)}</p>\n" for line in sentences)


def _section(asked: Use, groups: tuple[UsageGroup, ...], rows: Rows) -> str:
    if groups in WORST:
        named = [row for row in rows if any(row[name] is not None for name in groups)]
        shown: Rows = sorted(named, key=lambda row: -(row["idle_hours"] or 0))[:MOST_ROWS]
        count = f"<caption>{len(shown)} of {len(named)}</caption>"
    else:
        shown, count = rows, ""
    figures = {name: head for name, head in COLUMNS.items() if name != "cost" or asked.rates}
    heads = "".join(f"<th>{escape(name.capitalize())}</th>" for name in groups)
    heads += "".join(f'<th class="n">{escape(head)}</th>' for head in figures.values())
    lines = "".join(
        "<tr>"
        + "".join(f"<td>{escape(str(row[name])) if row[name] is not None else '-'}</td>" for name in groups)
        + "".join(f'<td class="n">{_number(name, row[name])}</td>' for name in figures)
        + "</tr>\n"
        for row in shown
    )
    return f"<h2>{TITLES[groups]}</h2>\n<table>{count}<thead><tr>{heads}</tr></thead><tbody>\n{lines}</tbody></table>\n"


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0%}" if name in SHARES else f"{value:,.2f}"


def _meaning(asked: Use) -> str:
    return (
        "<h2>What the words mean</h2>\n<p>Held: somebody had the GPU, as its readings say, to the minute; gaps of up to 10 "
        f"minutes are in it. Covered: the part of the held time that has readings. Idle: held, and below {asked.idle_below} % "
        f"of utilisation in the mean of a minute. Low use: held and not idle, and below {asked.low_use_below} %. Busy: mean "
        "utilisation of the held time; a GPU that is busy is not always used well. Free: read while nobody had the GPU. Where "
        "several have a GPU, each has an even share. A dash: not known, or nobody.</p>\n"
    )
