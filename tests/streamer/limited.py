"""An edge's application whose process may have 1,024 descriptors, or MOST_DESCRIPTORS. It tells how long each tick took."""

from __future__ import annotations

import logging
import os
import resource
import time
from pathlib import Path
from typing import Any

from celery.signals import task_postrun, task_prerun

from telemetry.celery import process_app

log = logging.getLogger(__name__)
most = int(os.environ.get("MOST_DESCRIPTORS", "1024"))
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
app = process_app()
begun_s = [0.0]


@task_prerun.connect
def begin(**_: Any) -> None:
    """Note when a tick begins."""
    begun_s[0] = time.monotonic()


@task_postrun.connect
def tell(**_: Any) -> None:
    """Say how long the tick took, and how many descriptors are taken."""
    taken = sum(1 for _ in Path("/proc/self/fd").iterdir())
    log.info("tick %.3f %d.", time.monotonic() - begun_s[0], taken)
