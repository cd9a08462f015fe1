"""Reads rules from TOML: those of `defaults.toml`, changed by a file of the operator's.

A mistake is a RulesError; what is no TOML is a ValueError of its parser.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from telemetry import lengths
from telemetry.health.rules import KINDS, SEVERITIES, XID_METRIC, Comparator, Rule, Rules, Severity, Straggler, While


class RulesError(ValueError):
    """A mistake in a file of rules; the text names the place and the mend."""


COMPARATORS: tuple[Comparator, ...] = ("above", "at_least", "below", "equals", "any_bit", "increase_above")
TEXTS = ("severity", "says", "action", "source")
KEYS = {"kind", "metric", "models", "per", "for", "hold", "while", "heuristic", "enabled", *TEXTS, *COMPARATORS}
XID_KEYS = {"severity", "says", "action"}
STRAGGLER_KEYS = {"enabled", "metric", "deviations", "at_least_below", "gpus", *TEXTS}
TABLES = {"silent_after", "missed_for", "expected_gpus", "actions", "rules", "straggler", "xids"}


def parse(raw: str) -> Rules:
    """The rules that a file changes; none for an empty text. Raises RulesError."""
    path = raw.strip()
    if not path:
        return defaults()
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise RulesError(f"names {path!r}, which cannot be read: {error}") from None
    try:
        return changed(text)
    except ValueError as error:
        raise RulesError(f"names {path}: {error}") from None


@cache
def defaults() -> Rules:
    """The rules that nobody changed."""
    return changed("")


def changed(text: str) -> Rules:
    """The rules as a text of TOML changes them. Raises ValueError, of TOML too."""
    try:
        own = tomllib.loads(text)
    except RecursionError:
        raise RulesError("the file is nested too deeply") from None
    known = tomllib.loads((files("telemetry.health") / "defaults.toml").read_text(encoding="utf-8"))
    _check_keys(own, TABLES, "the file")
    actions = {**known["actions"], **_table(own, "actions")}
    rules = {**known["rules"]}
    for name, table in _table(own, "rules").items():
        where = f"[rules.{name}]"
        if not isinstance(table, dict):
            raise RulesError(f"{where} must be a table")
        _check_keys(table, KEYS, where)
        before = rules.get(name, {})
        # Another comparator takes the place of the one before.
        kept = {key: value for key, value in before.items() if key not in COMPARATORS} if _compared(table) else before
        rules[name] = {**kept, **table}
    xids = {**known["xids"], **_table(own, "xids")}
    straggler = {**known["straggler"], **_table(own, "straggler")}
    _check_keys(straggler, STRAGGLER_KEYS, "[straggler]")
    made = {
        rule.name: rule
        for rule in (
            *(_rule(name, table, actions) for name, table in rules.items() if table.get("enabled", True)),
            *_xids(xids, actions),
        )
    }
    expected = {**known["expected_gpus"], **_table(own, "expected_gpus")}
    return Rules(
        made,
        _straggler(straggler, actions),
        _length({**known, **own}, "silent_after", "the file"),
        _length({**known, **own}, "missed_for", "the file"),
        actions["look-at-node"],
        tuple((pattern, int(_number(expected, pattern, "[expected_gpus]"))) for pattern in expected),
    )


def _rule(name: str, table: Mapping[str, Any], actions: Mapping[str, str]) -> Rule:
    where = f"[rules.{name}]"
    compared = _compared(table)
    if len(compared) != 1:
        raise RulesError(f"{where} must have one of {', '.join(COMPARATORS)}")
    metrics = table.get("metric", "")
    metrics = (metrics,) if isinstance(metrics, str) else tuple(metrics) if isinstance(metrics, list) else ()
    if not metrics or not all(isinstance(metric, str) and metric for metric in metrics):
        raise RulesError(f"{where} needs metric, a name or a list of names")
    models = _table(table, "models", where)
    during = _table(table, "while", where)
    rule = Rule(
        name,
        _one_of(table, "kind", KINDS, where, "other"),
        metrics,
        compared[0],
        _number(table, compared[0], where),
        **_texts(table, actions, where),
        models=tuple((model, _number(models, model, f"{where} models")) for model in models),
        per_s=_length(table, "per", where) if "per" in table else None,
        for_s=_length(table, "for", where) if "for" in table else 0.0,
        hold_s=_length(table, "hold", where) if "hold" in table else 0.0,
        during=While(_text(during, "metric", f"{where} while"), _number(during, "at_least", f"{where} while"))
        if during
        else None,
        is_heuristic=bool(table.get("heuristic", False)),
    )
    if rule.for_s and rule.hold_s:
        raise RulesError(f"{where} has for and hold; give one of them")
    if rule.comparator == "any_bit" and not all(int(value) == value > 0 for _, value in (*rule.models, ("", rule.threshold))):
        raise RulesError(f"{where}: any_bit must be a whole number above 0, such as 0x40")
    return rule


def _xids(table: Mapping[str, Any], actions: Mapping[str, str]) -> list[Rule]:
    codes = {code: entry for code, entry in table.items() if code != "source"}
    if wrong := [code for code in codes if code != "other" and not (code.isascii() and code.isdigit())]:
        raise RulesError(f"[xids] {wrong[0]!r} must be the code of an XID, or other")
    numbers = frozenset(int(code) for code in codes if code != "other")
    rules = []
    for code, entry in codes.items():
        where = f"[xids] {code}"
        if not isinstance(entry, dict):
            raise RulesError(f"{where} must be a table with says, severity and action")
        _check_keys(entry, XID_KEYS, where)
        texts = _texts({**entry, "source": table["source"]}, actions, where)
        is_other = code == "other"
        rules.append(
            Rule(
                f"xid-{code}",
                "xid",
                (XID_METRIC,),
                "none_of" if is_other else "equals",
                0.0 if is_other else float(code),
                **texts,
                codes=numbers if is_other else frozenset(),
            )
        )
    return rules


def _straggler(table: Mapping[str, Any], actions: Mapping[str, str]) -> Straggler:
    where = "[straggler]"
    numbers = {key: _number(table, key, where) for key in ("deviations", "at_least_below", "gpus")}
    return Straggler(
        bool(table["enabled"]),
        _text(table, "metric", where),
        numbers["deviations"],
        numbers["at_least_below"],
        int(numbers["gpus"]),
        **_texts(table, actions, where),
    )


def _compared(table: Mapping[str, Any]) -> list[Comparator]:
    return [comparator for comparator in COMPARATORS if comparator in table]


def _texts(table: Mapping[str, Any], actions: Mapping[str, str], where: str) -> dict[str, Any]:
    """Severity, words, action and source. An action may be the name of one."""
    severity: Severity = _one_of(table, "severity", SEVERITIES, where)
    action = _text(table, "action", where)
    source = table.get("source", "the rules file")
    return {"severity": severity, "says": _text(table, "says", where), "action": actions.get(action, action), "source": source}


def _check_keys(table: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := [key for key in table if key not in known]:
        raise RulesError(f"{where} has the unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}")


def _table(table: Mapping[str, Any], key: str, where: str = "the file") -> dict[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise RulesError(f"{where}: {key} must be a table")
    return value


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise RulesError(f"{where} needs {key}, a text")
    return value


def _one_of(table: Mapping[str, Any], key: str, values: tuple[Any, ...], where: str, default: Any = None) -> Any:
    value = table.get(key, default)
    if value not in values:
        raise RulesError(f"{where}: {key} must be one of {', '.join(values)}")
    return value


def _number(table: Mapping[str, Any], key: str, where: str) -> float:
    value = table.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise RulesError(f"{where} needs {key}, a number")
    return float(value)


def _length(table: Mapping[str, Any], key: str, where: str) -> float:
    value = table.get(key)
    try:
        # A number alone does not say its unit.
        return lengths.read(value if isinstance(value, str) and not value.isdecimal() else "").total_seconds()
    except ValueError:
        raise RulesError(f"{where}: {key} must be a length of time such as 30s, 5m, 2h or 14d") from None
