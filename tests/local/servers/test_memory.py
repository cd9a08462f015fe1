"""How much memory the embedded database takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from telemetry.local.servers import postgres

GIB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "buffers"), [(GIB // 4, GIB // 8), (4 * GIB, GIB // 2), (16 * GIB, 2 * GIB), (512 * GIB, 2 * GIB)]
)
def test_buffers_are_an_eighth_of_the_memory_within_limits(memory: int, buffers: int) -> None:
    assert postgres.buffers_bytes(memory) == buffers


@pytest.mark.parametrize(("limit", "memory"), [("max\n", None), ("268435456\n", 1 << 28), (None, None)])
def test_a_container_has_the_memory_it_may_use(
    limit: str | None, memory: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "memory.max"
    if limit:
        file.write_text(limit)
    monkeypatch.setattr(postgres, "CGROUP_LIMIT", file)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert postgres.memory_bytes() == (memory or physical)
