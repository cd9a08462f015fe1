"""The Markdown pages lead to places that exist, are listed in one index, and keep to the width."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import LINK, PAGES, ROOT, anchors, links, prose

WIDTH = 120
INDEX = ROOT / "docs" / "README.md"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name(page)} links to {target}: there is no such file"
        assert not anchor or anchor in anchors(file), f"{name(page)} links to {target}: there is no such heading"


def test_the_index_lists_each_page_of_docs() -> None:
    listed = {(INDEX.parent / target.partition("#")[0]).resolve() for target in links(INDEX)}
    assert {page for page in PAGES if page.is_relative_to(INDEX.parent)} - {INDEX} <= listed


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_prose_keeps_to_the_width(page: Path) -> None:
    for number, line in enumerate(prose(page).splitlines(), 1):
        if not line.startswith("|"):
            shown = re.sub(r"https?://\S+", "", LINK.sub(r"\1", line))
            assert len(shown) <= WIDTH, f"{name(page)}:{number} has {len(shown)} characters beside its links"


@pytest.mark.parametrize("page", sorted((INDEX.parent / "decisions").glob("*.md")), ids=name)
def test_each_decision_says_what_and_why(page: Path) -> None:
    number, order = int(page.name[:4]), re.findall(r"(?m)^\*\*(\w+)\.\*\*", page.read_text(encoding="utf-8"))
    assert page.read_text(encoding="utf-8").startswith(f"# {number}. ")
    assert order in (["Decision", "Why"], ["Decision", "Why", "Consequences"])
