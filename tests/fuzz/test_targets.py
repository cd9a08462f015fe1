"""Each target takes its good inputs and some spoilt ones; inputs that crashed one once do not any more."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import SEPARATOR, TARGETS

DCGM = (
    b"timestamp,metric_name,gpu_id,uuid,Hostname,value,labels_raw\n"
    b"2025-07-18T00:00:00Z,DCGM_FI_DEV_GPU_TEMP,0,GPU-1,host-1,31,\n2025-07-18T00:00:01Z,"
)
CRASHED = [
    ("state", b"[" * 100_000),
    ("state", b"stored g 1 2 3 " + b"9" * 5000),
    # A line that is too long, whose quotes are wrong: what it is called depended on where a block ended.
    ("formats", b"dcgm" + SEPARATOR + DCGM + b'{"a":' * 15_000 + b"\n" + DCGM.splitlines()[1] + b"\n"),
    ("provider", b'{"keys": true}'),
    ("provider", b'{"keys": [{"kty": []}]}'),
]


@pytest.mark.parametrize("name", TARGETS)
def test_good_and_spoilt_inputs(name: str) -> None:
    target, random = TARGETS[name], Random(7)  # noqa: S311
    for data in target.good[:40]:
        target.run(data)
        target.run(mutated(random, data, target.good))


@pytest.mark.parametrize(("name", "data"), CRASHED)
def test_what_crashed_once(name: str, data: bytes) -> None:
    TARGETS[name].run(data)
