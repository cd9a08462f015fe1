"""Lets no stranger command a worker: an edge's listens to nobody, a collector answers questions and does nothing else.

Celery's remote control goes over the broker and is not signed. Whoever may publish there could end all workers, shrink their
pools, or stop their consumers. So a collector keeps only those commands that look (Celery calls them `inspect`), and an edge's
worker neither listens nor tells: it has no rights for that. Flower can look at collectors, and its actions have no effect.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from celery import bootsteps
from celery.worker.control import Panel

log = logging.getLogger(__name__)

# Looks that cost much, or that say more of the process than a stranger should know.
WITHHELD = {"report", "objgraph", "memsample", "memdump", "hello"}
# Flower asks for events now and then. A collector sends them anyway.
UNTOLD = {"enable_events"}


class Deaf(bootsteps.Step):
    """Takes commands away before a worker's consumer is made, as a step of the worker's start."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        if parent.app.telemetry_settings.role == "edge":
            # What the command line says is kept here, and the consumer is made of it.
            parent.options |= {"without_heartbeat": True, "without_gossip": True, "without_mingle": True}
        looks = {name for name, about in Panel.meta.items() if about.type == "inspect"} - WITHHELD
        for name in set(Panel.data) - looks:
            Panel.data[name] = partial(refuse, name)


def refuse(name: str, _state: Any, **_: Any) -> dict[str, str]:
    """Answer a command that is not obeyed."""
    if name not in UNTOLD:
        log.warning("the command %s came over the broker, and is not obeyed: anybody could have sent it", name)
    return {"error": "this worker takes no commands over the broker"}
