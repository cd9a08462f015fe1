"""The limit of descriptors: raised at the start, and not all of it for files."""

from __future__ import annotations

import subprocess
import sys

import pytest

from telemetry import descriptors

PROGRAM = """
import resource
from telemetry import descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
{call}
print(descriptors.limit(), descriptors.for_files())
"""


def shown(soft: int, hard: int, call: str) -> list[int]:
    program = PROGRAM.format(soft=soft, hard=hard, call=call)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_the_soft_limit_becomes_the_hard_one() -> None:
    assert shown(300, 1024, "") == [300, 172]
    assert shown(300, 1024, "descriptors.raise_limit()") == [1024, 1024 - descriptors.RESERVE]
    assert shown(1024, 1024, "descriptors.raise_limit()") == [1024, 1024 - descriptors.RESERVE]


@pytest.mark.parametrize("limit", [64, 128, 256])
def test_of_a_small_limit_half_is_for_files(limit: int) -> None:
    assert shown(limit, limit, "") == [limit, limit // 2]


def test_a_process_of_celery_raises_its_limit() -> None:
    assert shown(300, 1024, "from telemetry.celery import process_app; process_app()")[0] == 1024
