"""Which pods have which GPUs, from a server that answers as a Kubernetes API does: lists by pages, watches in chunks, 410."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from telemetry.record import changes
from telemetry.record.api_server import ApiServer
from telemetry.record.pods import Pods
from telemetry.record.taken import SourceError, Taken
from tests.deploy.kubernetes import serving
from tests.record.cluster import CLAIMS, NODES, PODS, SLICES, WatchedApi, claim, node, pod, slices

A, B = "GPU-00000000-0000-0000-0000-00000000000a", "GPU-00000000-0000-0000-0000-00000000000b"


@pytest.fixture
def api() -> Iterator[WatchedApi]:
    api = WatchedApi()
    api.set(SLICES, "n1-gpus", **slices({"gpu-0": A, "gpu-1": B}))
    with serving(api):
        yield api


class Look:
    """What is recorded of a cluster, at a time of its day."""

    def __init__(self, api: WatchedApi) -> None:
        self.clock = "10:00:00"
        self.pods = Pods(ApiServer(api.url, 5, threading.Event()), self._now_s)

    def _now_s(self) -> float:
        return datetime.fromisoformat(f"2025-07-18T{self.clock}Z").timestamp()

    def __call__(self, clock: str) -> list[tuple[Any, ...]]:
        self.clock = clock
        return sorted(map(told, self.pods.take()))


def told(one: Taken) -> tuple[Any, ...]:
    """GPU, pod, container, and from when to when; the fraction of a second is the pod's own."""
    assert one.metric == "KUBERNETES_POD_HELD"
    assert one.gpu.labels["told_by"] == "kubernetes"
    assert one.at_s is not None
    gpu = one.gpu.uuid or f"{one.gpu.host}:{one.gpu.index}"
    ends = [f"{datetime.fromtimestamp(at_s, UTC):%H:%M:%S}" for at_s in (one.at_s - one.value, one.at_s)]
    return (gpu, one.gpu.labels["pod"], one.gpu.labels["container"], *ends)


@pytest.fixture
def look(api: WatchedApi) -> Look:
    return Look(api)


def test_a_claim_says_which_gpu_a_pod_has_from_its_start_to_now(api: WatchedApi, look: Look) -> None:
    assert look("09:59:00") == []
    api.set(CLAIMS, "c1", **claim("gpu-1", pods=("p1",)))
    api.set(PODS, "p1", **pod("10:00:05", claim="c1"))
    assert look("10:01:00") == [(B, "p1", "main", "10:00:05", "10:00:59")]
    assert look("10:02:00") == [(B, "p1", "main", "10:00:05", "10:01:59")]
    # After the first list only changes are asked for.
    assert [asked for asked in api.asked if asked[1] == PODS] == [("LIST", PODS), ("WATCH", PODS), ("WATCH", PODS)]


def test_a_pod_that_ends_is_told_of_up_to_its_end_and_once(api: WatchedApi, look: Look) -> None:
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    api.set(PODS, "p1", **pod(claim="c1"))
    look("10:01:00")
    # The claim is freed with the pod's end.
    api.remove(CLAIMS, "c1")
    api.set(PODS, "p1", **pod(claim="c1", phase="Succeeded", over="10:01:20"))
    assert look("10:02:00") == [(A, "p1", "main", "10:00:00", "10:01:20")]
    assert look("10:03:00") == []
    api.remove(PODS, "p1")
    assert look("10:04:00") == []


def test_a_pod_that_came_and_went_between_two_looks_is_told_of(api: WatchedApi, look: Look) -> None:
    assert look("10:00:00") == []
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    api.set(PODS, "p1", **pod("10:00:10", claim="c1"))
    api.set(PODS, "p1", **pod("10:00:10", claim="c1", phase="Failed", over="10:00:30"))
    api.remove(PODS, "p1")
    api.remove(CLAIMS, "c1")
    assert look("10:01:00") == [(A, "p1", "main", "10:00:10", "10:00:30")]


def test_a_pod_that_is_deleted_with_no_end_of_its_own_was_known_up_to_the_look_before(api: WatchedApi, look: Look) -> None:
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    api.set(PODS, "p1", **pod(claim="c1"))
    assert look("10:01:00")
    api.remove(PODS, "p1")
    assert look("10:02:00") == []


def test_changes_that_are_gone_are_a_gap_and_no_end(api: WatchedApi, look: Look, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for name, device in (("p1", "gpu-0"), ("p2", "gpu-1")):
        api.set(CLAIMS, name, **claim(device, pods=(name,)))
        api.set(PODS, name, **pod(claim=name))
    look("10:01:00")
    api.is_down = True
    with pytest.raises(SourceError, match="503: etcd is away"):
        look("10:02:00")
    api.is_down = False
    api.remove(PODS, "p2")
    api.forget()
    # One lives, so it had its GPU all the time; the other went while nobody looked, and nobody knows when.
    assert look("10:30:00") == [(A, "p1", "main", "10:00:00", "10:29:59")]
    assert "the changes of /api/v1/pods are not known since the last look: all is listed anew" in caplog.text
    assert look("10:31:00") == [(A, "p1", "main", "10:00:00", "10:30:59")]


def test_a_watch_that_breaks_off_is_a_turn_that_fails_and_nothing_of_it_is_lost(api: WatchedApi, look: Look) -> None:
    look("10:00:00")
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    api.set(PODS, "p1", **pod(claim="c1", phase="Failed", over="10:00:30"))
    api.remove(PODS, "p1")
    api.breaks_off = True
    with pytest.raises(SourceError, match="cannot be read"):
        look("10:01:00")
    api.breaks_off = False
    assert look("10:02:00") == [(A, "p1", "main", "10:00:00", "10:00:30")]


def test_another_process_tells_the_same_of_what_is_over(api: WatchedApi, look: Look) -> None:
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    api.set(PODS, "p1", **pod(claim="c1", phase="Succeeded", over="10:00:30"))
    look.clock = "10:05:00"
    first = look.pods.take()
    assert first
    assert Look(api).pods.take() == first


def test_how_far_a_look_goes_back_is_bounded(api: WatchedApi, look: Look) -> None:
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    made = pod(claim="c1")
    made["status"]["conditions"][0]["lastTransitionTime"] = "2025-01-01T00:00:00Z"
    api.set(PODS, "p1", **made)
    days = []
    for clock in ("00:01:00", "00:02:00", "20:00:00"):
        look.clock = clock
        days.append([one.value / 86_400 for one in look.pods.take()])
    # At first, as ever, and after a time without a look.
    assert days == [[31], [1], [31]]


def test_two_pods_that_share_a_gpu_are_never_told_of_at_one_time(api: WatchedApi, look: Look) -> None:
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1", "p2")))
    for name in ("p1", "p2"):
        api.set(PODS, name, **pod(claim="c1"))
    look.clock = "10:01:00"
    taken = look.pods.take()
    assert sorted(one.gpu.labels["pod"] for one in taken) == ["p1", "p2"]
    assert len({one.at_s for one in taken}) == 2


def test_large_collections_are_listed_by_pages_and_only_pods_with_gpus_are_held(
    api: WatchedApi, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE", 10)
    for number in range(95):
        api.set(PODS, f"web-{number}", **pod())
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    api.set(PODS, "p1", **pod(claim="c1"))
    look("10:01:00")
    assert api.asked.count(("LIST", PODS)) == 10
    assert len(look.pods.pods.objects) == 1


def test_a_cluster_without_claims_has_none(look: Look, api: WatchedApi) -> None:
    api.dynamic = False
    assert look("10:01:00") == []
    assert not look.pods.dynamic
    api.dynamic = True
    look("10:02:00")
    assert look.pods.dynamic


def test_what_the_account_may_not_see_is_said(api: WatchedApi, look: Look) -> None:
    api.forbidden = (PODS,)
    with pytest.raises(SourceError, match="/api/v1/pods answers 403: /api/v1/pods is forbidden"):
        look("10:00:00")


@pytest.mark.parametrize(
    ("has", "asks", "expected"),
    [
        (node(2, count="2"), 2, ["n1:0", "n1:1"]),
        # Some of them: which, only the node knows. So it is where it is not sure how many there are.
        (node(2, count="2"), 1, []),
        (node(2), 2, []),
        (node(4, count="2"), 4, []),
        (node(2, count="2", gpu_replicas="2"), 2, []),
        (node(2, count="2", mig_strategy="single"), 2, []),
        (node(2, count="2", gpu_product="NVIDIA-A100-MIG-1g.5gb"), 2, []),
    ],
)
def test_all_gpus_of_a_node_are_known_where_one_pod_has_all_of_them(
    api: WatchedApi, look: Look, caplog: pytest.LogCaptureFixture, has: dict[str, Any], asks: int, expected: list[str]
) -> None:
    api.set(NODES, "n1", **has)
    api.set(PODS, "p1", **pod(gpus=asks))
    assert [gpu for gpu, *_ in look("10:01:00")] == expected
    look("10:02:00")
    said = "the API does not say which GPUs these pods have: research/p1"
    assert caplog.text.count(said) == (0 if expected else 1)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (f"{A},NVIDIA,3000,30:;", [A]),
        (f"{A},NVIDIA,3000,30:{B},NVIDIA,3000,30:;", [A, B]),
        # A GPU that HAMi does not know there, a part of one, and text of a user.
        ("GPU-ffffffff-0000-0000-0000-000000000000,NVIDIA,3000,30:;", []),
        (f"{A}[0-1],NVIDIA,3000,30:;", []),
        ("whatever;", []),
    ],
)
def test_hamis_annotation_counts_where_the_node_has_the_gpu(
    api: WatchedApi, look: Look, annotation: str, expected: list[str]
) -> None:
    api.set(NODES, "n1", **node(20, hami=f"{A},10,32768,100,NVIDIA,0,true:{B},10,32768,100,NVIDIA,0,true:"))
    api.set(PODS, "p1", **pod(gpus=1, annotation=annotation))
    assert [gpu for gpu, *_ in look("10:01:00")] == expected


def test_of_a_pool_its_newest_generation_counts(api: WatchedApi, look: Look) -> None:
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    api.set(PODS, "p1", **pod(claim="c1"))
    api.set(SLICES, "newer", **slices({"gpu-0": B}, generation=2))
    assert [gpu for gpu, *_ in look("10:01:00")] == [B]


@pytest.mark.parametrize(
    ("made", "of", "says"),
    [
        (claim("gpu-0", pods=("p1",), adminAccess=True), None, ""),
        (claim("nic-0", pods=("p1",), driver="nic.example.com"), None, ""),
        (claim("mig-0", pods=("p1",)), slices({"mig-0": "MIG-1"}, kind="mig", pool="n1"), "device mig-0 of gpu.nvidia.com"),
        (claim("card0", pods=("p1",), driver="gpu.amd.com"), None, "device card0 of gpu.amd.com"),
    ],
)
def test_what_is_no_whole_gpu_of_the_pod_is_not_told_of(
    api: WatchedApi, look: Look, caplog: pytest.LogCaptureFixture, made: dict[str, Any], of: dict[str, Any] | None, says: str
) -> None:
    api.set(CLAIMS, "c1", **made)
    api.set(PODS, "p1", **pod(claim="c1"))
    if of:
        api.set(SLICES, "more", **of)
    assert look("10:01:00") == []
    assert (says in caplog.text) if says else not caplog.text


def test_an_object_that_is_written_in_another_way_is_left_out(
    api: WatchedApi, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    api.set(PODS, "odd", spec={"nodeName": "n1", "containers": [{}]}, status={})
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    api.set(PODS, "p1", **pod(claim="c1"))
    assert len(look("10:01:00")) == 1
    assert "an object of /api/v1/pods is left out: KeyError: 'name'" in caplog.text


def test_a_resource_of_a_plugins_name_may_be_a_claim(api: WatchedApi, look: Look) -> None:
    asked = pod(gpus=1)
    mapping = {"containerName": "main", "resourceName": "nvidia.com/gpu", "requestName": "gpu"}
    asked["status"]["extendedResourceClaimStatus"] = {"resourceClaimName": "c1", "requestMappings": [mapping]}
    api.set(CLAIMS, "c1", **claim("gpu-0", pods=("p1",)))
    api.set(PODS, "p1", **asked)
    assert look("10:01:00") == [(A, "p1", "main", "10:00:00", "10:00:59")]
