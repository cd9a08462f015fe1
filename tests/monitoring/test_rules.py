"""Each alert fires when it should and keeps quiet when it should, by Prometheus' own judgement."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from telemetry import resources
from telemetry.health import prometheus, rules_file
from telemetry.settings import Settings
from tests.rules import rules, seconds

ROOT = Path(__file__).parents[2]
NAMES = [rule["alert"] for rule in rules()]
MINUTES = 90
BOOKS = "https://example.org/telemetry/"

Series = Mapping[str, str]


class Case(NamedTuple):
    """Series as promtool writes them, one value a minute, that make an alert fire, and others that do not."""

    firing: Series
    quiet: tuple[Series, ...]


def steady(value: float | str) -> str:
    return f"{value}x{MINUTES}"


REDIS = 'up{job="redis-exporter",cluster="shared"}'


def metric(name: str, labels: Series | None = None) -> str:
    """A series of one GPU under DCGM's name."""
    told = {"UUID": "GPU-1", "gpu": "0", "Hostname": "h", **(labels or {})}
    pairs = ",".join(f'{key}="{value}"' for key, value in told.items())
    return f"DCGM_FI_DEV_{name}{{{pairs}}}"


SOURCE = '{edge="a/n",path="/f"}'
WAITING = {
    f"telemetry_source_lag_seconds{SOURCE}": steady(900),
    f"telemetry_source_lag_rows{SOURCE}": steady(7),
    f"telemetry_source_in_flight_bytes{SOURCE}": steady(0),
    f"telemetry_source_committed_bytes{SOURCE}": steady(5),
}
LATENCY = 'cross_cluster_latency_seconds{source_cluster="a",target_cluster="c"}'
STATUS = 'message_queue_connection_status{cluster="a",component="beat"}'
STORED, QUARANTINED, CONFLICT, EXPIRED = (
    f'telemetry_rows_committed_total{{source_cluster="a",row_class="{n}"}}'
    for n in ("stored", "quarantined", "conflict", "expired")
)
RETAINED = 'telemetry_retention_done_timestamp_seconds{level="samples"}'
REFUSED = 'telemetry_batches_refused_total{source_cluster="a"}'
DISTRUSTED = 'telemetry_messages_distrusted_total{source_cluster="a"}'
BEYOND = 'telemetry_messages_beyond_total{source_cluster="a"}'
GPU = '{UUID="GPU-1",gpu="0",Hostname="h"}'
H100 = {"modelName": "NVIDIA H100 80GB HBM3"}
POD = '{UUID="GPU-1",gpu="0",Hostname="h",namespace="n",pod="p"}'
QUEUE, COMMIT = "telemetry_queue_messages", "telemetry_last_commit_age_seconds"
SEES = 'telemetry_exporter_up{part="database"}'
SILENT, TICKING = 'telemetry_edge_silent_seconds{edge="a/n"}', '{cluster="a",edge="a/n"}'
LOST = 'telemetry_edge_lost_bytes{source_cluster="a",edge="a/n"}'
BEATS, EVERY = f"telemetry_beat_silent_seconds{TICKING}", f"telemetry_beat_interval_seconds{TICKING}"
COLLECTOR = 'telemetry_build_info{component="collector"}'
CASES = {
    "CrossClusterHighLatency": Case(
        {LATENCY: steady(0.11)},
        (
            {LATENCY: steady(0.1)},
            {LATENCY: "0.3x3 _x86"},
            {LATENCY: "0.3 0.05 0.3 0.05 0.3x2 0.05x84"},
            {LATENCY: f"_x{MINUTES - 4} 0.3 stale _ _"},
        ),
    ),
    "RedisConnectionLost": Case({STATUS: steady(0)}, ({STATUS: steady(1)}, {STATUS: "1x86 0 0 1"})),
    "RedisDown": Case(
        {'redis_up{job="redis-exporter",cluster="shared"}': steady(0), REDIS: steady(1)},
        ({REDIS: steady(1)}, {REDIS: "1x86 0 0 1"}, {'up{job="api"}': steady(0)}),
    ),
    "SourceStalled": Case(
        {f"telemetry_source_in_flight_bytes{SOURCE}": steady(9), f"telemetry_source_committed_bytes{SOURCE}": steady(5)},
        (
            {f"telemetry_source_in_flight_bytes{SOURCE}": steady(9), f"telemetry_source_committed_bytes{SOURCE}": "0+1x90"},
            {f"telemetry_source_in_flight_bytes{SOURCE}": steady(0), f"telemetry_source_committed_bytes{SOURCE}": steady(5)},
            {
                f"telemetry_source_in_flight_bytes{SOURCE}": steady(9),
                f"telemetry_source_committed_bytes{SOURCE}": steady(5),
                SILENT: steady(200_000),
            },
        ),
    ),
    "SourceWaits": Case(
        WAITING,
        (
            WAITING | {f"telemetry_source_in_flight_bytes{SOURCE}": steady(9)},
            WAITING | {f"telemetry_source_lag_rows{SOURCE}": steady(1)},
            WAITING | {f"telemetry_source_lag_seconds{SOURCE}": steady(300)},
            WAITING | {f"telemetry_source_committed_bytes{SOURCE}": "0+1x90"},
            WAITING | {SILENT: steady(200_000)},
        ),
    ),
    "SourceForeign": Case(
        {'telemetry_edge_foreign_sources{source_cluster="a",edge="a/n"}': steady(1)},
        (
            {'telemetry_edge_foreign_sources{source_cluster="a",edge="a/n"}': steady(0)},
            {'telemetry_edge_foreign_sources{source_cluster="ingest",edge="ingest/n"}': steady(1)},
        ),
    ),
    "EdgeSilent": Case({SILENT: "0+60x90"}, ({SILENT: steady(200)}, {SILENT: steady(200_000)})),
    "SecondMachine": Case(
        {'telemetry_edge_refused_machines{edge="a/n"}': steady(1)},
        ({'telemetry_edge_refused_machines{edge="a/n"}': steady(0)},),
    ),
    "SameGpuName": Case(
        {'telemetry_edge_same_gpu_names{edge="a/n"}': steady(1)}, ({'telemetry_edge_same_gpu_names{edge="a/n"}': steady(0)},)
    ),
    "LedgerGap": Case({'telemetry_ledger_gaps{edge="a/n"}': steady(1)}, ({'telemetry_ledger_gaps{edge="a/n"}': steady(0)},)),
    "ClocksApart": Case(
        {"telemetry_database_ahead_seconds": steady(-61)},
        ({"telemetry_database_ahead_seconds": steady(59)}, {"telemetry_database_ahead_seconds": "0x88 90"}),
    ),
    "SamplesMissing": Case(
        {"telemetry_missing_samples": steady(3)},
        ({"telemetry_missing_samples": steady(0)}, {"telemetry_missing_samples": "_x90"}),
    ),
    "ReadAgain": Case(
        {"telemetry_gap_rereads_total": "0x80 2x10", "telemetry_sample_rereads_total": steady(0)},
        ({"telemetry_gap_rereads_total": steady(2), "telemetry_sample_rereads_total": steady(1)},),
    ),
    "EdgeLost": Case({LOST: "0x10 700x80"}, ({LOST: steady(700)}, {LOST: "700x20 600x70"}, {LOST: "_x20 700x70"})),
    "NothingCommitted": Case(
        {QUEUE: steady(3), COMMIT: "0+60x90", SEES: steady(1)},
        (
            {QUEUE: steady(3), COMMIT: steady(60), SEES: steady(1)},
            {QUEUE: steady(0), COMMIT: "0+60x90", SEES: steady(1)},
            {QUEUE: steady(3), SEES: steady(0)},
            {
                QUEUE: steady(3),
                COMMIT: "0+60x90",
                SEES: steady(1),
                'telemetry_batches_settled_total{settlement="known"}': "0+60x90",
            },
        ),
    ),
    "QuarantineRising": Case({STORED: "0+90x90", QUARANTINED: "0+10x90"}, ({STORED: "0+9900x90", QUARANTINED: "0+10x90"},)),
    "ReadingsInConflict": Case({CONFLICT: "0+1x90"}, ({CONFLICT: "7+0x90"}, {STORED: "0+100x90", CONFLICT: "0+0x90"})),
    "ReadingsExpired": Case({EXPIRED: "0+1x90"}, ({EXPIRED: "7+0x90"}, {STORED: "0+100x90", EXPIRED: "0+0x90"})),
    "SecondContent": Case({REFUSED: "0x80 1x10"}, ({REFUSED: steady(3)},)),
    "MessagesDistrusted": Case({DISTRUSTED: "0x80 1x10"}, ({DISTRUSTED: steady(3)},)),
    "EdgeBeyondItsBounds": Case({BEYOND: "0+1x90"}, ({BEYOND: steady(3)}, {BEYOND: "0x80 1x10"})),
    "DeadLetters": Case({"telemetry_dead_letters": steady(1)}, ({"telemetry_dead_letters": steady(0)},)),
    "BrokerMemoryHigh": Case(
        {"telemetry_broker_memory_bytes": steady(81), "telemetry_broker_memory_limit_bytes": steady(100)},
        (
            {"telemetry_broker_memory_bytes": steady(79), "telemetry_broker_memory_limit_bytes": steady(100)},
            {"telemetry_broker_memory_bytes": steady(79), "telemetry_broker_memory_limit_bytes": steady(0)},
        ),
    ),
    "BrokerMayEvict": Case({"telemetry_broker_may_evict": steady(1)}, ({"telemetry_broker_may_evict": steady(0)},)),
    "DatabaseNearlyFull": Case(
        {"telemetry_database_size_bytes": steady(86), "telemetry_database_capacity_bytes": steady(100)},
        (
            {"telemetry_database_size_bytes": steady(84), "telemetry_database_capacity_bytes": steady(100)},
            {"telemetry_database_size_bytes": steady(86)},
        ),
    ),
    "ReplicaNotRead": Case(
        {"telemetry_replica_is_read": steady(0)},
        ({"telemetry_replica_is_read": steady(1)}, {"telemetry_replica_is_read": "1x81 0x8"}),
    ),
    "PartitionMissing": Case(
        {"telemetry_partition_failures_total": "0+1x90"},
        (
            {"telemetry_partition_failures_total": steady(3)},
            {QUEUE: steady(1), COMMIT: "0+60x90", "telemetry_partitions_left_seconds": steady(-1200)},
        ),
    ),
    "RetentionStalled": Case(
        {RETAINED: steady(-30_000), COMMIT: steady(1)},
        ({RETAINED: steady(-30_000), COMMIT: steady(3000)}, {RETAINED: "0+60x90", COMMIT: steady(1)}),
    ),
    "BeatSilent": Case(
        {BEATS: "0+60x90", EVERY: steady(1)},
        (
            {BEATS: steady(1), EVERY: steady(1)},
            {BEATS: steady(3000), EVERY: steady(1000)},
            {BEATS: "0+60x90", EVERY: steady(1), 'message_queue_connection_status{cluster="a",component="beat"}': steady(0)},
        ),
    ),
    "ProcessStalled": Case(
        {'telemetry_heartbeat_age_seconds{component="collector"}': "1x80 0+60x10"},
        ({'telemetry_heartbeat_age_seconds{component="collector"}': steady(60)},),
    ),
    "ExporterBlind": Case(
        {'telemetry_exporter_up{part="broker"}': steady(0)}, ({'telemetry_exporter_up{part="broker"}': steady(1)},)
    ),
    "ExporterGone": Case(
        {'telemetry_exporter_up{part="broker"}': "1x60 stale"},
        ({'telemetry_exporter_up{part="broker"}': steady(0), COLLECTOR: steady(1)}, {LATENCY: steady(1)}),
    ),
    "GpuIdleWhileAllocated": Case(
        {f"DCGM_FI_DEV_GPU_UTIL{POD}": steady(0)},
        (
            {f"DCGM_FI_DEV_GPU_UTIL{POD}": steady(40)},
            {f"DCGM_FI_DEV_GPU_UTIL{GPU}": steady(0)},
            {f"DCGM_FI_DEV_GPU_UTIL{POD}": "0x70 90x20"},
        ),
    ),
    "GpuSilent": Case(
        {f"telemetry_gpu_reading_age_seconds{GPU}": "0+60x90"},
        ({f"telemetry_gpu_reading_age_seconds{GPU}": steady(100)},),
    ),
    "GpuMetricsMissing": Case(
        {STORED: "0+600x90", 'telemetry_exporter_up{part="database"}': steady(1)},
        (
            {STORED: "0+600x90", f"DCGM_FI_DEV_SM_CLOCK{GPU}": steady(1980)},
            {STORED: "0+600x90", 'telemetry_exporter_up{part="gpus"}': steady(1)},
            {STORED: steady(600)},
        ),
    ),
    "GpuClockLow": Case(
        {metric("MEM_CLOCK", H100): steady(2000), metric("GPU_UTIL", H100): steady(95)},
        (
            {metric("MEM_CLOCK", H100): steady(2000), metric("GPU_UTIL", H100): steady(5)},
            {metric("MEM_CLOCK", H100): steady(2619), metric("GPU_UTIL", H100): steady(95)},
            {metric("MEM_CLOCK"): steady(2000), metric("GPU_UTIL"): steady(95)},
        ),
    ),
    "GpuManyMemoryErrors": Case({metric("ECC_SBE_VOL_TOTAL"): steady(10_001)}, ({metric("ECC_SBE_VOL_TOTAL"): steady(9000)},)),
    "GpuDoubleBitError": Case({metric("ECC_DBE_VOL_TOTAL"): steady(1)}, ({metric("ECC_DBE_VOL_TOTAL"): steady(0)},)),
    "GpuNvlinkErrors": Case(
        {metric("NVLINK_REPLAY_ERROR_COUNT_TOTAL"): "3x85 4x5"},
        (
            {metric("NVLINK_REPLAY_ERROR_COUNT_TOTAL"): steady(3)},
            {metric("NVLINK_REPLAY_ERROR_COUNT_TOTAL"): "3x60 4x30"},
        ),
    ),
    "GpuNvlinkFailing": Case(
        {metric("NVLINK_CRC_DATA_ERROR_COUNT_TOTAL"): "0+9000x90"},
        ({metric("NVLINK_CRC_DATA_ERROR_COUNT_TOTAL"): "0+3000x90"},),
    ),
    "GpuPcieReplays": Case({metric("PCIE_REPLAY_COUNTER"): "0+9x90"}, ({metric("PCIE_REPLAY_COUNTER"): "0+7x90"},)),
    "GpuRemapPending": Case({metric("ROW_REMAP_PENDING"): steady(1)}, ({metric("ROW_REMAP_PENDING"): steady(0)},)),
    "GpuRemapFailed": Case(
        {metric("ROW_REMAP_FAILURE"): steady(1)},
        ({metric("ROW_REMAP_FAILURE"): steady(0)}, {metric("UNCORRECTABLE_REMAPPED_ROWS"): steady(512)}),
    ),
    "GpuHot": Case({metric("GPU_TEMP"): steady(85)}, ({metric("GPU_TEMP"): steady(84)}, {metric("MEMORY_TEMP"): steady(94)})),
    "GpuTooHot": Case(
        {metric("GPU_TEMP", {"modelName": "NVIDIA A100-SXM4-80GB"}): steady(93)},
        ({metric("GPU_TEMP", H100): steady(94)}, {metric("GPU_TEMP"): steady(94)}),
    ),
    "GpuThrottled": Case(
        {metric("CLOCK_THROTTLE_REASONS"): steady(0x8 + 0x4)},
        ({metric("CLOCK_THROTTLE_REASONS"): steady(0x1 + 0x4 + 0x10)}, {metric("CLOCK_THROTTLE_REASONS"): steady(0x20)}),
    ),
    "GpuThermalThrottling": Case(
        {metric("CLOCKS_EVENT_REASONS"): steady(0x20 + 1)},
        ({metric("CLOCKS_EVENT_REASONS"): steady(0x10 + 4 + 1)}, {metric("THERMAL_VIOLATION"): "0+1000000x90"}),
    ),
    "GpuXidWarning": Case(
        {metric("XID_ERRORS"): steady(999)}, ({metric("XID_ERRORS"): steady(13)}, {metric("XID_ERRORS"): steady(79)})
    ),
    "GpuXidError": Case(
        {metric("XID_ERRORS"): steady(79)}, ({metric("XID_ERRORS"): steady(0)}, {metric("XID_ERRORS"): steady(31)})
    ),
}
ALSO_FIRING = [
    ("CrossClusterHighLatency", {LATENCY: " ".join(["0.3 0.3 stale"] * (MINUTES // 3))}),
    ("NothingCommitted", {QUEUE: steady(3), SEES: steady(1)}),
    ("BeatSilent", {BEATS: "1x60 stale", EVERY: "1x60 stale"}),
    ("ExporterGone", {COLLECTOR: steady(1)}),
    ("GpuThermalThrottling", {f"DCGM_FI_DEV_THERMAL_VIOLATION{GPU}": "0+6000000000x90"}),
]
# What a person reads of the two that operators rely on by name.
TOLD = {
    "CrossClusterHighLatency": (
        {"severity": "warning", "source_cluster": "a", "target_cluster": "c"},
        "Batches from a take 110ms to c",
    ),
    "RedisConnectionLost": (
        {"severity": "critical", "cluster": "a", "component": "beat"},
        "The beat in a cannot reach the broker",
    ),
}


def test_each_alert_has_a_case() -> None:
    assert list(CASES) == NAMES


def test_each_alert_is_judged_right(promtool: str, tmp_path: Path) -> None:
    def judged(alert: str, series: Series, expected: int) -> dict[str, object]:
        return {
            "name": f"{alert}, {'firing' if expected else 'quiet'}: {series}",
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                    "eval_time": f"{MINUTES - 1}m",
                    "exp_samples": [{"labels": "{}", "value": expected}] if expected else [],
                }
            ],
        }

    tests = [(alert, judged(alert, case.firing, 1)) for alert, case in CASES.items()]
    tests += [(alert, judged(alert, series, 1)) for alert, series in ALSO_FIRING]
    tests += [(alert, judged(alert, series, 0)) for alert, case in CASES.items() for series in case.quiet]
    check(promtool, tmp_path, tests)


def check(promtool: str, directory: Path, tests: Sequence[tuple[str, Mapping[str, object]]]) -> None:
    """Each alert in a file of its own: all of them in each test would take a hundred times as long."""
    files = []
    for rule in rules():
        own = [test for alert, test in tests if alert == rule["alert"]]
        rule_file, file = directory / f"{rule['alert']}.json", directory / f"{rule['alert']}-tests.json"
        rule_file.write_text(json.dumps({"groups": [{"name": rule["alert"], "rules": [rule]}]}))
        file.write_text(json.dumps({"rule_files": [str(rule_file)], "evaluation_interval": "30s", "tests": own}))
        files.append(file)
    done = subprocess.run([promtool, "test", "rules", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_wait_for_their_time_and_say_what_is_wrong(promtool: str, tmp_path: Path) -> None:
    tests: list[tuple[str, Mapping[str, object]]] = []
    for rule in rules():
        name, patience_s = rule["alert"], int(seconds(rule["for"]))
        case = CASES[name].firing
        if name in TOLD:
            labels, summary = TOLD[name]
            description = " ".join(rule["annotations"]["description"].replace("{{ $labels.instance }}", "").split(" "))
            book = f"{BOOKS}docs/RUNBOOKS.md#{name.lower()}"
            told = {"summary": summary, "description": description, "runbook_url": book}
            fires = [{"exp_labels": labels, "exp_annotations": told}]
            moments = [(patience_s - 30, []), (patience_s, fires)]
        elif patience_s and all(each == steady(each.partition("x")[0]) for each in case.values()):
            moments = [(patience_s - 30, [])]
        else:
            continue
        test = {
            "name": name,
            "interval": "1m",
            "external_labels": {"runbooks": BOOKS},
            "input_series": [{"series": series, "values": values} for series, values in case.items()],
            "alert_rule_test": [
                {"alertname": name, "eval_time": f"{moment_s}s", "exp_alerts": expected} for moment_s, expected in moments
            ],
        }
        tests.append((name, test))
    assert len(tests) > 5
    check(promtool, tmp_path, tests)


def test_the_alerts_about_faults_of_gpus_are_those_of_the_rules() -> None:
    group = yaml.safe_load(resources.ALERTS.read_text(encoding="utf-8"))["groups"][-1]
    assert group == {"name": "telemetry-gpu-health", "rules": prometheus.alerts(rules_file.defaults())}, "run scripts/alerts"


def test_the_rules_are_as_prometheus_wants_them(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", resources.ALERTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", rules(), ids=NAMES)
def test_each_alert_tells_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    book, _, anchor = rule["annotations"]["runbook_url"].removeprefix("{{ $externalLabels.runbooks }}").partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / book).read_text(), re.MULTILINE)
    assert str(rule["alert"]) in headings
    assert anchor == str(rule["alert"]).lower()


def test_the_runbooks_name_no_alert_that_there_is_not() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "RUNBOOKS.md").read_text(), re.MULTILINE)
    assert headings == NAMES
    assert "TELEMETRY_" not in resources.ALERTS.read_text()
    assert Settings.load({}).gap_alert_s == 300, "LedgerGap and its runbook say so"
