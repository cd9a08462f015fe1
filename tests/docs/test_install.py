"""What the pages say about installing works, and each extra brings what its part needs and no more."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "telemetry").rglob("*.py")]
# What only tables, an edge or the centre need.
FOREIGN = {"pyarrow", "numpy", "celery", "redis", "msgpack", "msgspec", "prometheus_client", "pydantic", "flask", "sqlalchemy"}
ASKING = """
import sys, httpx
from telemetry.client import Client
answer = httpx.MockTransport(lambda request: httpx.Response(200, json={"items": [{"id": "g"}], "next_offset": None}))
assert [gpu["id"] for gpu in Client("http://a", transport=answer).gpus()] == ["g"]
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def extras() -> dict[str, set[str]]:
    """The packages of each extra, and under `all` those that every part needs."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    texts = {**parser["options.extras_require"], "all": parser["options"]["install_requires"]}
    return {name: set(re.findall(r"^([a-z][a-z0-9-]*)", text, re.MULTILINE)) for name, text in texts.items()}


def test_a_client_needs_httpx_alone_and_tables_pyarrow_too() -> None:
    found = extras()
    assert (found["client"], found["tables"], found["all"]) == ({"httpx"}, {"httpx", "pyarrow"}, {"click"})
    assert {"celery", "pyarrow", "numpy"} <= found["edge"] <= found["central"] <= found["local"]


def test_the_client_asks_without_anything_else_of_ours() -> None:
    done = subprocess.run([sys.executable, "-c", ASKING], capture_output=True, text=True, check=True, timeout=60)
    assert "httpx" in done.stdout.split()
    assert not FOREIGN & set(done.stdout.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_installs_by_a_name_that_no_index_has(page: Path) -> None:
    assert not re.search(r"pip install ['\"]?telemetry-pipeline", page.read_text(encoding="utf-8"))


def test_a_wheel_can_be_built() -> None:
    assert re.search(r"^dist: .*\n\t.*-m build --wheel", (ROOT / "Makefile").read_text(), re.MULTILINE)
