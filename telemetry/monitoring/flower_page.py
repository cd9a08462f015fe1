"""Flower's page about the broker lists our queues from its start.

Flower (2.2: `flower.app.Flower.start`) asks workers for their queues once, when it starts. A worker that starts later is never
asked, so its queue was missing. Flower offers no option for it; the method that its page asks is changed here. Nothing of
Flower is imported: an edge has none.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from celery import Celery
from celery.signals import import_modules

VIEWS = "flower.views"


def install(app: Celery, queues: Collection[str]) -> None:
    """Let the Flower of an application list some queues, whether or not a worker has told it of them."""

    def show(**_: Any) -> None:
        # Flower has the application import its modules when it is made.
        if VIEWS in sys.modules:
            change(sys.modules[VIEWS].BaseHandler, queues)

    import_modules.connect(show, sender=app, weak=False)


def change(handler: Any, queues: Collection[str]) -> None:
    """Change a class of Flower's views: it lists these queues too, and asks the workers again at each look."""
    asked_once = handler.get_active_queue_names

    def get_active_queue_names(view: Any) -> list[str]:
        view.application.update_workers()
        return sorted({*asked_once(view), *queues})

    handler.get_active_queue_names = get_active_queue_names
