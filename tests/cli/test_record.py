"""`telemetry record`: from an endpoint to the database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.deploy.kubernetes import serving
from tests.fixtures.processes import Start, exact
from tests.fixtures.services import Query
from tests.ports import free_port
from tests.record.cluster import CLAIMS, PODS, SLICES, WatchedApi, claim, pod, slices
from tests.record.endpoint import TEXT, endpoint
from tests.record.tools import tool
from tests.waiting import eventually

Telemetry = Callable[..., subprocess.CompletedProcess[str]]


def test_what_is_recorded_is_read_to_the_last_value(
    telemetry: Telemetry, tmp_path: Path, start_collector: Start, verify: Callable[..., dict[str, int]]
) -> None:
    with endpoint(TEXT) as url:
        done = telemetry("record", tmp_path / "out", "--scrape", url, "--interval", "0.1", "--turns", "3")
    assert done.stdout == "12 readings recorded in 3 turns\n"
    (path,) = (tmp_path / "out").glob("gpus-*.csv")
    start_collector()
    telemetry("ingest", path, "--final")
    counts = verify(path)
    assert exact(counts)
    assert counts["stored"] == 12


def test_a_recording_ends_on_a_signal_and_says_what_it_did(start: Start, tmp_path: Path) -> None:
    with endpoint(TEXT) as url:
        process = start("telemetry", "record", str(tmp_path / "out"), "--scrape", url, "--interval", "0.1")
        eventually(lambda: sum(path.stat().st_size for path in (tmp_path / "out").glob("*.csv")) > 2000, 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert "turns" in (tmp_path / "0-telemetry.log").read_text()


def test_an_endpoint_that_is_away_all_the_time_is_no_success(telemetry: Telemetry, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/metrics"
    done = telemetry("record", tmp_path, "--scrape", url, "--interval", "0.1", "--turns", "2")
    assert done.returncode == 1
    assert done.stderr.count("cannot be read") == 1
    assert not list(tmp_path.glob("*.csv"))


def test_a_tool_on_the_path_is_recorded_with_the_jobs_that_have_its_gpus(
    telemetry: Telemetry,
    tmp_path: Path,
    start_collector: Start,
    verify: Callable[..., dict[str, int]],
    query: Query,
) -> None:
    jobs, tools = tmp_path / "jobs", tmp_path / "tools"
    jobs.mkdir()
    tools.mkdir()
    (jobs / "0").write_text("4711\n")
    tool(tools, "nvidia-smi", "say(header())\nwhile True: say(row(0), row(1)); time.sleep(loop_s)")
    # In a zone of its own, which the tool must not follow.
    path = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "TZ": "Asia/Kolkata"}
    options = ("--tool", "nvidia-smi", "--interval", "0.2", "--turns", "3", "--host", "n1", "--slurm-jobs", jobs, "--json")
    counts = json.loads(telemetry("record", tmp_path / "out", *options, **path).stdout)
    assert (counts["turns"], counts["missed"]) == (3, 0)
    (file,) = (tmp_path / "out").glob("gpus-*.csv")
    start_collector()
    telemetry("ingest", file, "--final")
    stored = verify(file)
    assert exact(stored)
    assert stored["stored"] == counts["readings"]
    assert query("SELECT gpu_index, host FROM gpus ORDER BY 1") == [(0, "n1"), (1, "n1")]
    assert query("SELECT count(*) FROM samples WHERE ts > now() - interval '5 minutes' AND ts <= now()") == [
        (counts["readings"],)
    ]


def test_a_tool_that_is_missing_or_no_source_is_named(telemetry: Telemetry, tmp_path: Path) -> None:
    done = telemetry("record", tmp_path / "out", "--tool", tmp_path / "amd-smi", "--turns", "1", "--interval", "1")
    assert done.returncode == 1
    assert "amd-smi cannot be run: No such file or directory; say where it is: --tool PATH" in done.stderr
    for options, told in (
        (("--tool", "rocm-smi"), "rocm-smi is not one of nvidia-smi, amd-smi"),
        (("--tool", "amd-smi", "--interval", "0.5"), "amd-smi has whole seconds between its turns"),
        (("--tool", "nvidia-smi", "--scrape", "http://h:1/"), "give --scrape or --tool"),
    ):
        done = telemetry("record", tmp_path / "out", *options)
        assert done.returncode == 2
        assert told in done.stderr


def test_without_a_driver_the_mend_is_named(telemetry: Telemetry, tmp_path: Path) -> None:
    done = telemetry("record", tmp_path, "--turns", "1")
    assert done.returncode == 1
    assert "nvidia-smi should show the GPUs of this machine" in done.stderr


def test_pods_are_recorded_and_a_cluster_where_nobody_has_a_gpu_is_no_failure(telemetry: Telemetry, tmp_path: Path) -> None:
    api = WatchedApi()
    with serving(api):
        command = ("record", tmp_path, "--pods", "--kubernetes", api.url, "--interval", "0.1", "--turns")
        assert telemetry(*command, "2").stdout == "0 readings recorded in 2 turns\n"
        api.set(SLICES, "n1", **slices({"gpu-0": "GPU-a"}))
        api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
        api.set(PODS, "p1", **pod(claim="c1"))
        assert telemetry(*command, "1").stdout == "1 readings recorded in 1 turns\n"
    (path,) = tmp_path.glob("pods-*.csv")
    assert ",KUBERNETES_POD_HELD,,,GPU-a,,,main,p1,research," in path.read_text()


def test_pods_of_no_cluster_are_refused(telemetry: Telemetry, tmp_path: Path) -> None:
    done = telemetry("record", tmp_path, "--pods")
    assert done.returncode == 2
    assert "this is no pod of Kubernetes" in done.stderr
    assert telemetry("record", tmp_path, "--pods", "--scrape", "http://127.0.0.1/").returncode == 2
