from __future__ import annotations

import numpy as np

from telemetry.simulate.faults import BUS, COOLING, MEMORY, Faults

TIMES = 1_752_871_354 + np.arange(0, 6 * 3600.0, 10)


def test_a_few_gpus_fail_each_in_its_way() -> None:
    faults = Faults(248, 0, 0, 10)
    trouble = faults.over(TIMES)
    assert 3 <= np.count_nonzero(faults.kind) <= 10
    assert set(np.unique(trouble.xid[:, faults.kind == MEMORY])) == {0, 48, 63, 94}
    assert set(np.unique(trouble.xid[:, faults.kind == BUS])) == {0, 79}
    assert trouble.single_bit[:, faults.kind == MEMORY].sum() > trouble.double_bit.sum() > 0
    assert trouble.hot[:, faults.kind == COOLING].any(axis=0).all()
    silent = trouble.silent[:, faults.kind == BUS]
    assert silent.any()
    assert not silent.all(axis=0).any()


def test_the_others_are_well() -> None:
    faults = Faults(64, 0, 0, 10)
    trouble = faults.over(TIMES)
    well = faults.kind == 0
    for field in (trouble.xid, trouble.silent, trouble.hot, trouble.single_bit, trouble.double_bit, trouble.replays):
        assert not field[:, well].any()


def test_a_tiny_fleet_has_no_faults() -> None:
    assert not Faults(3, 0, 0, 10).kind.any()
