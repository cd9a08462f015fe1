"""Gives a worker that ended by itself an exit code that says so.

Celery (5.7, `WorkController.start`) drops the code of an abort, such as that of a consumer that has no descriptor for its
connection. The process would end with 0, and whoever starts it again after failures only would not.
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.worker import state

EXIT_CODE = 71


class Aborted(bootsteps.StartStopStep):
    """Sets the code while the worker is made: an orderly stop has a code of its own, which takes its place."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        parent.exitcode = EXIT_CODE

    def terminate(self, parent: Any) -> None:
        """Take the code back where a signal asked for the end."""
        # None or False says that nobody asked; 0 is a code.
        if state.should_terminate is not None and state.should_terminate is not False:
            parent.exitcode = None
