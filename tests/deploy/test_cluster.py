"""Commands in pods: what they print, how they end, and what is said where none can be run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.deploy.cluster import Cluster, ClusterError, ForbiddenError
from tests.deploy.kubernetes import NAMESPACE, Api, kubeconfig, serving


@pytest.fixture
def api() -> Iterator[Api]:
    """A cluster that answers."""
    made = Api()
    with serving(made):
        yield made


@pytest.fixture
def cluster(api: Api, tmp_path: Path) -> Cluster:
    """The same, as it is asked."""
    return Cluster("main", str(kubeconfig(tmp_path / "kubeconfig", {"main": api.url})))


def test_a_command_ends_with_its_code_and_all_of_its_text(api: Api, cluster: Cluster) -> None:
    api.execute = lambda _pod, _container, words: (3, "naïve " * 30_000 + words[-1])
    ran = cluster.run("telemetry", "api-0", "api", ["telemetry", "status", "a b&c=d"], 10)
    assert (ran.code, len(ran.out), ran.out[-7:], ran.err) == (3, 180_007, "a b&c=d", "")
    assert api.executed == [("api-0", "api", ["telemetry", "status", "a b&c=d"])]


def test_who_may_not_run_one_is_told_by_the_cluster(api: Api, cluster: Cluster) -> None:
    api.forbidden = (f"{NAMESPACE}/pods",)
    with pytest.raises(ForbiddenError, match="/pods/api-0/exec is forbidden"):
        cluster.run("telemetry", "api-0", "api", ["telemetry", "status"], 10)
    assert not api.executed


def test_a_cluster_that_is_away_is_told(tmp_path: Path) -> None:
    away = Cluster("main", str(kubeconfig(tmp_path / "kubeconfig", {"main": "http://127.0.0.1:1"})))
    with pytest.raises(ClusterError, match=r"no connection for `telemetry status` in api-0 of main: .*refused"):
        away.run("telemetry", "api-0", "api", ["telemetry", "status"], 10)


def test_a_connection_that_ends_first_is_no_end_of_the_command(api: Api, cluster: Cluster) -> None:
    api.execute = lambda *_: (0, "half")
    api.cuts = True
    with pytest.raises(ClusterError, match=r"`telemetry status` in api-0 of main did not end in order: the connection ended"):
        cluster.run("telemetry", "api-0", "api", ["telemetry", "status"], 10)
