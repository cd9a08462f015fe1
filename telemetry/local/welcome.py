"""What the user sees once everything runs: where to reach it, and where its state lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from telemetry.settings import Settings


@dataclass(frozen=True, slots=True)
class Welcome:
    """A short block for the screen, shown again at Enter, and the line that stays at the end of a terminal."""

    block: str
    last_line: str


def welcome(settings: Settings, urls: Mapping[str, str], scraping: Path, logs: Path) -> Welcome:
    """Both of them, without passwords."""
    sources = ", ".join(settings.sources) or "none: give --csv, or upload a file"
    access = "no key is asked for" if settings.api_access == "open" else "asks for a key: telemetry apikey create"
    block = f"""
  telemetry is running; it can be reached from this machine only

    web and API  {urls["api"]}/  ({access})
    API docs     {urls["api"]}/api/v1/docs
    GPUs         {urls["api"]}/api/v1/gpus
    Flower       {urls["flower"]}/
    database     telemetry psql --data-dir {settings.data_dir}
    sources      {sources}{" (replay)" if settings.loop_mode else ""}
    metrics      prometheus --config.file={scraping}
    state        {settings.data_dir}
    logs         {logs}, one file a process

  While readings come, a line every 10 s says what was stored. Enter shows this again.
  Ctrl-C stops everything
"""
    return Welcome(block, f"{urls['api']}/  Flower {urls['flower']}/  Enter: all addresses  Ctrl-C: stop")
