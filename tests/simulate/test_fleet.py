from __future__ import annotations

import re

from telemetry.simulate.fleet import build


def test_hosts_have_distinct_names_and_their_gpus_distinct_uuids() -> None:
    fleet = build(20, 8, seed=0)
    assert len({host.name for host in fleet}) == 20
    uuids = [uuid for host in fleet for uuid in host.gpus]
    assert len(set(uuids)) == 160
    assert all(re.fullmatch(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid) for uuid in uuids)


def test_a_larger_fleet_of_the_seed_contains_the_smaller() -> None:
    assert build(9, 4, seed=3)[:5] == build(5, 4, seed=3)
    assert build(1, 8, seed=3)[0].gpus[:4] == build(1, 4, seed=3)[0].gpus
    assert build(1, 4, seed=4)[0].gpus != build(1, 4, seed=3)[0].gpus


def test_models_are_mixed_over_hosts_but_not_within_one() -> None:
    assert {host.model.name for host in build(4, 8, seed=0)} == {
        "NVIDIA H100 80GB HBM3",
        "NVIDIA A100-SXM4-80GB",
        "NVIDIA L40S",
    }
