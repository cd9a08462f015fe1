"""An edge's application whose process may have 1,024 descriptors. After each tick it tells how long that took, and what is open."""

from __future__ import annotations

import os
import resource
import time
from typing import Any

from celery.signals import task_postrun, task_prerun

from telemetry.celery import process_app

resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
app = process_app()
begun_s = [0.0]


@task_prerun.connect
def begin(**_: Any) -> None:
    """Note when a tick begins."""
    begun_s[0] = time.monotonic()


@task_postrun.connect
def tell(**_: Any) -> None:
    """Say how long the tick took, and how many descriptors are taken."""
    print(f"tick {time.monotonic() - begun_s[0]:.3f} {len(os.listdir('/proc/self/fd'))}.", flush=True)
