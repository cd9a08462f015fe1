"""Writes the boards of `definitions` into their folder: `scripts/dashboards`."""

from __future__ import annotations

from scripts.boards.definitions import BOARDS
from scripts.boards.render import files

for path, text in files(BOARDS):
    path.write_text(text, encoding="utf-8")
