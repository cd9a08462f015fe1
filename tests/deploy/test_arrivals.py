"""A deployment ends when the first row of each edge is stored, says after how long, and says for certain where none came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from telemetry.deploy.centre import Centre, EdgeState, parsed
from telemetry.deploy.cluster import ClusterError
from telemetry.deploy.inventory import Site
from telemetry.deploy.pods import Place, edge_of
from telemetry.deploy.verdicts import QUIET_S, Looked, Times, good, late
from tests.deploy.conftest import Stage

ALL = ("--edge-context", "gpu-1", "--edge-context", "gpu-2", "--central-context", "main", "--redis-host", "redis.internal")
GIVEN = {"TELEMETRY_DEPLOY_REDIS_PASSWORD": "one", "TELEMETRY_DEPLOY_DB_PASSWORD": "two"}
STATUS = "telemetry status --json"
SITE, PLACE = Site("edge", "gpu-1", "west"), Place("streamer-0", "streamer", "west/n1")


def test_the_first_row_of_each_edge_ends_a_deployment(stage: Stage) -> None:
    done = stage.run("deploy-all", *ALL, "--json", **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {each["edge"]: each for each in json.loads(done.stdout)["rows"]}
    assert {name: each["stored"] for name, each in rows.items()} == {"gpu-1/gpu-1": True, "gpu-2/gpu-1": True}
    assert 0 <= rows["gpu-1/gpu-1"]["after_s"] < 60
    assert "edge gpu-1: the first row of gpu-1/gpu-1 is stored, " in done.stderr
    assert set(stage.executed) == {("exporter", STATUS)}


def test_an_edge_without_rows_is_told_with_its_mend(stage: Stage) -> None:
    stage.centre.changed["gpu-1/gpu-1"], stage.centre.row_age_s["gpu-1/gpu-1"] = {"sources": 0}, None
    done = stage.run("deploy-all", *ALL, "--first-row", "1", **GIVEN)
    assert done.returncode == 1, done.stdout
    assert (
        "edge gpu-1: no row of edge gpu-1/gpu-1 within 1 s: its streamer has found no file\n    mend: write CSV" in done.stdout
    )
    assert "edge gpu-2: the first row of gpu-2/gpu-1 is stored" in done.stdout


@pytest.mark.parametrize(
    ("edge", "why", "mend"),
    [
        (EdgeState(1, silent_s=61.4), "it is silent for 61 s", "exec streamer-0 -c streamer -- telemetry doctor says where"),
        (EdgeState(1, foreign=1), "no format knows its files", "`telemetry status`"),
        (EdgeState(1, dead_letters=2), "2 of its messages cannot be stored", "`telemetry deadletter list`"),
        (EdgeState(1, lag_bytes=7), "7 bytes of its files and 3 messages at the broker wait", "logs of the collectors"),
        (EdgeState(1), "its files hold no reading with a value", "`telemetry quarantine list`"),
        (None, "the broker has never heard of it", "exec streamer-0 -c streamer -- telemetry doctor says where"),
    ],
)
def test_each_reason_has_its_mend(edge: EdgeState | None, why: str, mend: str) -> None:
    seen = Looked(latest=Centre({"west/n1": edge} if edge else {}, 3, 2, 1, 0))
    arrival = late(SITE, PLACE, seen, 300, "telemetry")
    assert arrival.says == f"no row of edge west/n1 within 300 s: {why}"
    assert mend in arrival.mend


def test_a_centre_that_cannot_tell_is_no_verdict(stage: Stage) -> None:
    stage.centre.fault = "cannot reach the broker redis.internal"
    done = stage.run("deploy-all", *ALL, "--first-row", "1", "--json", **GIVEN)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert not document["ok"]
    assert not document["failed"]
    for row in document["rows"]:
        assert row["says"].startswith("nobody knows whether a row of edge")
        assert "cannot reach the broker redis.internal" in row["says"]


def test_rows_from_before_an_upgrade_do_not_count(stage: Stage) -> None:
    assert stage.run("deploy-all", *ALL, **GIVEN).returncode == 0
    stage.centre.row_age_s["gpu-1/gpu-1"] = 30.0
    done = stage.run("deploy-edge", *ALL, "--first-row", "1")
    assert done.returncode == 1
    assert "no row of edge gpu-1/gpu-1 within 1 s" in done.stdout
    assert "the first row of gpu-2/gpu-1 is stored" in done.stdout
    assert "after its pods were ready" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((*ALL, "--first-row", "0"), "--first-row is 0"),
        ((*ALL[:4], *ALL[6:]), "nobody says where the centre is"),
        ((*ALL[:4], *ALL[6:], "--central-context", "far"), "kubeconfig has no context far, where the centre is"),
    ],
)
def test_what_was_not_looked_at_is_said(stage: Stage, arguments: tuple[str, ...], why: str) -> None:
    done = stage.run("deploy-edge", *arguments, **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"whether rows of the edges arrive was not looked at, as {why}" in done.stdout
    assert not stage.executed


def test_who_may_not_ask_is_told_before_anything_changes(stage: Stage) -> None:
    stage.clusters["main"].denied = {("create", "pods/exec")}
    done = stage.run("deploy-all", *ALL, "--json", **GIVEN)
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["says"].startswith("the user of main may not create pods/exec")
    assert "--first-row 0" in problem["mend"]
    assert not stage.changes
    assert stage.run("deploy-all", *ALL, "--first-row", "0", **GIVEN).returncode == 0


def test_a_dry_run_says_that_it_would_ask(stage: Stage) -> None:
    done = stage.run("deploy-all", *ALL, "--dry-run", **GIVEN)
    assert "central main: would be asked for 300 s at most for the first row of edge gpu-1, edge gpu-2" in done.stdout
    assert not stage.executed


def looked(at_s: float, **edge: Any) -> Looked:
    known = Looked()
    known.add(Centre({"west/n1": EdgeState(**{"sources": 1, "silent_s": 0.0, "rows_per_s": 0.0, **edge})}, 0, 0, 1, at_s))
    return known


def test_an_edge_that_has_nothing_new_is_good_after_a_while() -> None:
    times = Times(begun_s=100, is_new=False, ready_s=110)
    assert good(SITE, PLACE, times, looked(110 + QUIET_S - 1)) is None
    arrival = good(SITE, PLACE, times, looked(110 + QUIET_S))
    assert arrival is not None
    assert (arrival.is_stored, arrival.after_s) == (True, None)
    for edge in (
        {"lag_bytes": 1},
        {"silent_s": 1.0},
        {"silent_s": None},
        {"foreign": 1},
        {"dead_letters": 1},
        {"in_flight": 1},
    ):
        assert good(SITE, PLACE, times, looked(200, **edge)) is None, edge
        assert not late(SITE, PLACE, looked(200, **edge), 300, "telemetry").is_stored


def test_a_row_counts_from_the_moment_that_is_told() -> None:
    seen = looked(130, row_age_s=25.0, lag_bytes=9)
    new, old = Times(100, is_new=True, ready_s=120), Times(100, is_new=False, ready_s=120)
    arrival = good(SITE, PLACE, new, seen)
    assert arrival is not None
    assert arrival.after_s == 5
    assert good(SITE, PLACE, old, seen) is None
    assert good(SITE, PLACE, Times(100, is_new=False), seen) is None


def test_a_centre_of_an_older_version_is_no_verdict() -> None:
    known = Looked()
    known.add(Centre({"west/n1": EdgeState(1, lag_bytes=1)}, 0, 0, 1, 200, is_old=True))
    assert good(SITE, PLACE, Times(100, is_new=True, ready_s=110), known) is None
    assert (
        "nobody knows whether a row of edge west/n1 has arrived: the centre runs an older"
        in late(SITE, PLACE, known, 300, "telemetry").says
    )


def test_a_document_without_edges_is_no_answer() -> None:
    broken: dict[str, Any] = {"edges": None, "flow": [], "parts": {"broker": {"fault": "it is away"}}}
    with pytest.raises(ClusterError, match="it is away"):
        parsed(broken, 0)


@pytest.mark.parametrize(
    ("variables", "edge"),
    [
        ([{"name": "TELEMETRY_EDGE", "value": "west/shared"}], "west/shared"),
        (
            [
                {"name": "EDGE_NODE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "TELEMETRY_EDGE", "value": "west/$(EDGE_NODE)"},
            ],
            "west/streamer-0",
        ),
        ([], ""),
    ],
)
def test_the_name_of_an_edge_is_that_which_its_pod_is_given(variables: list[dict[str, Any]], edge: str) -> None:
    container = {"name": "streamer", "env": variables}
    assert edge_of({"metadata": {"name": "streamer-0"}, "spec": {"containers": [{"name": "beat"}, container]}}) == edge
