"""Flower's page about the broker lists our queues from its start, and Flower says nothing of workers that have yet to start.

Flower (2.2: `flower.app.Flower.start`) asks workers for their queues once, when it starts. A worker that starts later is never
asked, so its queue was missing. Where no worker answers it warns once for each question (`flower.inspector`), which is nothing
to warn of while all processes start together. Flower offers no option for either; the methods are changed here. Nothing of
Flower is imported: an edge has none.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from typing import Any

from celery import Celery
from celery.signals import import_modules

VIEWS, INSPECTOR = "flower.views", "flower.inspector"
# What it says where nobody answers. Other failures have their reason behind it.
UNANSWERED = "Inspect method %s failed"


def install(app: Celery, queues: Collection[str]) -> None:
    """Let the Flower of an application list some queues, whether or not a worker has told it of them."""

    def show(**_: Any) -> None:
        # Flower has the application import its modules when it is made.
        if VIEWS in sys.modules:
            change(sys.modules[VIEWS].BaseHandler, queues)
            wait_for_workers(sys.modules[INSPECTOR].Inspector, logging.getLogger(INSPECTOR))

    import_modules.connect(show, sender=app, weak=False)


def change(handler: Any, queues: Collection[str]) -> None:
    """Change a class of Flower's views: it lists these queues too, and asks the workers again at each look."""
    asked_once = handler.get_active_queue_names

    def get_active_queue_names(view: Any) -> list[str]:
        view.application.update_workers()
        return sorted({*asked_once(view), *queues})

    handler.get_active_queue_names = get_active_queue_names


def wait_for_workers(inspector: Any, log: logging.Logger) -> None:
    """Change Flower's class that asks workers: that nobody answers is worth a line only once somebody has."""
    noted = inspector._on_update  # noqa: SLF001
    has_answered = False

    def _on_update(self: Any, *answer: Any) -> None:
        nonlocal has_answered
        has_answered = True
        noted(self, *answer)

    inspector._on_update = _on_update  # noqa: SLF001
    log.addFilter(lambda record: has_answered or record.msg != UNANSWERED)
