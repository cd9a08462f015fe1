"""Which names a wrong one may have meant."""

from __future__ import annotations

import pytest

from telemetry.api.core.nearest import in_words, nearest

METRICS = ["DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEMORY_TEMP", "DCGM_FI_DEV_POWER_USAGE"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("GPU_TEMP", METRICS[0]),
        ("dcgm_fi_dev_gpu_util", METRICS[1]),
        ("DCGM_FI_DEV_GPU_UTIL{}", METRICS[1]),
        ("DCGM_FI_DEV_POWER_USGAE", METRICS[3]),
    ],
)
def test_the_nearest_is_first(text: str, first: str) -> None:
    assert nearest(text, METRICS)[0] == first


def test_there_are_three_at_most_and_none_that_is_far() -> None:
    assert len(nearest("DCGM", METRICS)) == 3
    assert nearest("colour", METRICS) == []
    assert nearest("x", []) == []


def test_they_end_a_sentence() -> None:
    assert in_words(["a", "b"]) == "; did you mean a or b?"
    assert in_words([]) == ""
