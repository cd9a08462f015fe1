"""The option --data-dir, which a command takes before its name and after it. It imports nothing that takes time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

HELP = "Data directory of the `telemetry up` to use; default .telemetry or TELEMETRY_DATA_DIR."
# Where click keeps it between a group and its commands, which share their `meta`.
KEY = "telemetry.data_dir"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def data_dir_option(help: str = HELP, *, expose_value: bool = True) -> Callable[[Decorated], Decorated]:  # noqa: A002 - click's name
    """The option. One that stands nearer to the end wins. With `expose_value` the function gets it, also from further left."""
    return click.option(
        "--data-dir",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        callback=_remembered,
        expose_value=expose_value,
        help=help,
    )


def _remembered(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None:
        ctx.meta[KEY] = value
    remembered: Path | None = ctx.meta.get(KEY)
    return remembered
