"""`validate` sends a marked batch from each edge that is installed, and leaves nothing of it, whatever happens."""

from __future__ import annotations

import json

from tests.deploy.conftest import Stage

ALL = ("--edge-context", "gpu-1", "--edge-context", "gpu-2", "--central-context", "main", "--redis-host", "redis.internal")
GIVEN = {"TELEMETRY_DEPLOY_REDIS_PASSWORD": "one", "TELEMETRY_DEPLOY_DB_PASSWORD": "two"}
SEND, FORGET = "telemetry trial --json --timeout 30", "telemetry trial --forget --json"


def test_a_marked_batch_of_each_edge_is_committed_and_removed(stage: Stage) -> None:
    assert stage.run("deploy-all", *ALL, "--first-row", "0", **GIVEN).returncode == 0
    # What a run that was cut off has left.
    stage.centre.ledger["trial-old"] = "gpu-1/gpu-1"
    done = stage.run("validate", *ALL)
    assert done.returncode == 0, done.stdout + done.stderr
    said = "its marked batch was committed after 0.34 s, 0.12 s of it from publication to commit; it is removed"
    assert f"edge gpu-1: gpu-1/gpu-1: {said}" in done.stdout
    assert f"edge gpu-2: gpu-2/gpu-1: {said}" in done.stdout
    assert sorted(stage.executed) == [("exporter", FORGET)] * 2 + [("streamer", SEND)] * 2
    assert not stage.centre.ledger


def test_a_batch_that_is_not_committed_is_told_with_its_mend(stage: Stage) -> None:
    assert stage.run("deploy-all", *ALL, "--first-row", "0", **GIVEN).returncode == 0
    stage.centre.commits = False
    done = stage.run("validate", *ALL, "--json")
    assert done.returncode == 1
    first, _ = json.loads(done.stdout)["trials"]
    assert (first["edge"], first["committed"], first["latency_s"]) == ("gpu-1/gpu-1", False, None)
    assert "not committed within 30 s, and still may be: the next `validate` removes it" in first["says"]
    assert "telemetry doctor" in first["mend"]
    assert stage.executed[-1] == ("exporter", FORGET)


def test_an_edge_that_cannot_send_keeps_no_other_from_it(stage: Stage) -> None:
    assert stage.run("deploy-all", *ALL, "--first-row", "0", **GIVEN).returncode == 0
    stage.clusters["gpu-1"].execute = lambda *_: (1, "Error: cannot reach the broker redis.internal: timed out\n")
    done = stage.run("validate", *ALL)
    assert done.returncode == 1
    assert "edge gpu-1: gpu-1/gpu-1: no batch could be sent: `telemetry trial` in" in done.stdout
    assert "says: cannot reach the broker redis.internal: timed out" in done.stdout
    assert "edge gpu-2: gpu-2/gpu-1: its marked batch was committed" in done.stdout
    assert not stage.centre.ledger


def test_nothing_is_sent_where_it_could_not_be_removed(stage: Stage) -> None:
    assert stage.run("deploy-all", *ALL, "--first-row", "0", **GIVEN).returncode == 0
    stage.clusters["main"].execute = lambda *_: (1, "Error: cannot reach the database\n")
    done = stage.run("validate", *ALL)
    assert done.returncode == 1
    assert "says: cannot reach the database" in done.stderr
    assert ("streamer", SEND) not in stage.executed


def test_what_is_not_installed_or_has_no_centre_sends_nothing(stage: Stage) -> None:
    done = stage.run("validate", *ALL, **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no marked batch is sent, as centre and edges are not installed yet" in done.stdout
    assert stage.run("deploy-all", *ALL, "--first-row", "0", **GIVEN).returncode == 0
    alone = stage.run("validate", "--edge-context", "gpu-1", "--redis-host", "redis.internal")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert "no marked batch is sent, as nobody says where the centre is" in alone.stdout
    rehearsed = stage.run("validate", *ALL, "--dry-run")
    assert rehearsed.returncode == 0
    assert "edge gpu-2: would send a marked batch from each of its edges" in rehearsed.stdout
    assert not stage.executed


def test_who_may_run_no_commands_in_pods_is_told(stage: Stage) -> None:
    stage.clusters["gpu-2"].denied = {("get", "pods/exec")}
    done = stage.run("validate", *ALL, **GIVEN)
    assert done.returncode == 1
    assert "the user of gpu-2 may not get pods/exec" in done.stdout
