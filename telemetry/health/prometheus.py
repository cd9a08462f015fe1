"""The rules as alerts for Prometheus, over metrics under DCGM's names, as `TELEMETRY_EXPORTER_GPUS` or dcgm-exporter show them.

An alert for each kind of fault, severity and patience. What is only a note is left out, and what needs the store: silence and
stragglers. A GPU is judged and not its series: that is another one after each change of the pod that has the GPU.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from telemetry.health.rules import Rule, Rules

SEVERITIES = {"degraded": "warning", "faulty": "critical"}
GPU = "(UUID, gpu, Hostname)"
# By kind, severity and patience in seconds: the names by which runbooks know them.
NAMES = {
    ("xid", "faulty", 0): "GpuXidError",
    ("xid", "degraded", 0): "GpuXidWarning",
    ("ecc", "faulty", 0): "GpuDoubleBitError",
    ("ecc", "degraded", 0): "GpuManyMemoryErrors",
    ("remap", "faulty", 0): "GpuRemapFailed",
    ("remap", "degraded", 0): "GpuRemapPending",
    ("nvlink", "faulty", 0): "GpuNvlinkFailing",
    ("nvlink", "degraded", 0): "GpuNvlinkErrors",
    ("pcie", "degraded", 0): "GpuPcieReplays",
    ("throttle", "degraded", 60): "GpuThrottled",
    ("throttle", "degraded", 300): "GpuThermalThrottling",
    ("temperature", "faulty", 60): "GpuTooHot",
    ("temperature", "degraded", 300): "GpuHot",
    ("clocks", "degraded", 300): "GpuClockLow",
}


def alerts(rules: Rules) -> list[dict[str, Any]]:
    """The alerts, as a rule file of Prometheus has them."""
    grave = [rule for rule in rules.rules.values() if rule.severity != "note" and rule.kind != "straggler"]
    return [_alert(key, list(some)) for key, some in groupby(sorted(grave, key=_key), key=_key)]


def _key(rule: Rule) -> tuple[str, str, int]:
    return rule.kind, rule.severity, int(rule.for_s)


def _alert(key: tuple[str, str, int], rules: list[Rule]) -> dict[str, Any]:
    kind, severity, patience_s = key
    name = NAMES.get(key, f"Gpu{kind.capitalize()}{severity.capitalize()}{patience_s or ''}")
    is_xid = kind == "xid"
    says = "reported XID {{ $value }}" if is_xid else "; or ".join(dict.fromkeys(rule.says for rule in rules))
    return {
        "alert": name,
        "expr": " or ".join(_expression(rule, metric) for rule in rules for metric in rule.metrics),
        "for": f"{patience_s}s",
        "labels": {"severity": SEVERITIES[severity]},
        "annotations": {
            "summary": f"GPU {{{{ $labels.gpu }}}} of {{{{ $labels.Hostname }}}}: {says}",
            "description": "A rule of telemetry/health/defaults.toml holds of {{ $labels.UUID }}; the value is {{ $value }}.",
            "runbook_url": f"{{{{ $externalLabels.runbooks }}}}docs/RUNBOOKS.md#{name.lower()}",
        },
    }


def _expression(rule: Rule, metric: str) -> str:
    """When a rule holds of a metric; for some models with other limits."""
    parts = [_compared(rule, f'{metric}{{modelName=~".*{model}.*"}}', limit) for model, limit in rule.models]
    others = "|".join(f".*{model}.*" for model, _ in rule.models)
    series = f'{metric}{{modelName!~"{others}"}}' if others else metric
    if not (rule.models and rule.comparator == "below" and rule.threshold <= 0):
        parts.append(_compared(rule, series, rule.threshold))
    return " or ".join(parts)


def _compared(rule: Rule, series: str, limit: float) -> str:
    match rule.comparator:
        case "any_bit":
            bits = [1 << place for place in range(32) if int(limit) >> place & 1]
            return " or ".join(f"max by {GPU} (floor({series} / {bit}) % 2) == 1" for bit in bits)
        case "none_of":
            known = " or ".join(f"max by {GPU} ({series}) == {code}" for code in sorted(rule.codes))
            return f"(max by {GPU} ({series}) > 0 unless ({known}))"
        case "increase_above":
            # Of the GPU, as above: what a counter has gained over the lowest of the time that it holds on.
            span = f"{rule.hold_s or rule.for_s:g}s"
            if rule.per_s is None:
                lowest = f"min by (UUID) (min_over_time({series}[{span}]))"
                return f"max by {GPU} ({series}) - on (UUID) group_left () {lowest} > {limit:.15g}"
            return f"max by {GPU} (rate({series}[{span}])) * {rule.per_s:g} > {limit:.15g}"
    sign = {"above": ">", "at_least": ">=", "below": "<", "equals": "=="}[rule.comparator]
    value = f"{'min' if rule.comparator == 'below' else 'max'} by {GPU} ({series}) {sign} {limit:.15g}"
    if rule.during is None:
        return value
    return f"({value} and max by {GPU} ({rule.during.metric}) >= {rule.during.at_least:g})"
