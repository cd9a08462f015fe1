"""What a collection of the Kubernetes API holds, kept up to date by its changes.

It is listed once, page by page. From then on each turn asks for the events since the last one: a watch that the server ends at
once. So nothing runs between two turns, an object that came and went between them is seen, and a server that does not answer
is a turn that fails. Only what `keep` makes of an object is held.
"""

from __future__ import annotations

import http.client
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from telemetry.record.api_server import ApiServer, GoneError, Object
from telemetry.record.taken import SourceError

log = logging.getLogger(__name__)

Kept = TypeVar("Kept")
# Objects of a page of a list.
PAGE = 200
# Deleted objects that are held for a turn that fails again and again.
MOST_GONE = 10_000
# Seconds for which the server tells of changes, each time it is asked.
WATCH_S = 1


class Changes(Generic[Kept]):
    """The objects at a path, by their uid, as `keep` makes them; of those that it makes None of nothing is held.

    `gone` are the last states of those that were deleted since it was emptied. One that went while nobody could look is in
    neither.
    """

    def __init__(self, server: ApiServer, path: str, keep: Callable[[Object], Kept | None]) -> None:
        self.server, self.path, self.keep = server, path, keep
        self.objects: dict[str, Kept] = {}
        self.gone: dict[str, Kept] = {}
        self._version = ""

    def renew(self) -> None:
        """Take in what changed. Raises SourceError, after which the next call goes on where this one was."""
        if self._version:
            try:
                self._follow()
            except GoneError:
                log.info("the changes of %s are not known since the last look: all is listed anew", self.path)
                self._version = ""
            else:
                return
        self._list()

    def _list(self) -> None:
        objects: dict[str, Kept] = {}
        query = {"limit": str(PAGE)}
        while True:
            page = self.server.get(self.path, query)
            for each in page.get("items") or []:
                kept = self._kept(each)
                if kept is not None:
                    objects[_uid(each)] = kept
            about = page.get("metadata") or {}
            if not about.get("continue"):
                break
            query["continue"] = str(about["continue"])
        self.objects, self._version = objects, str(about.get("resourceVersion", ""))

    def _follow(self) -> None:
        query = {"watch": "1", "resourceVersion": self._version, "timeoutSeconds": str(WATCH_S), "allowWatchBookmarks": "true"}
        for event in self.server.watch(self.path, query):
            kind, each = str(event.get("type", "")), event.get("object") or {}
            if kind == "ERROR":
                if each.get("code") == http.client.GONE:
                    raise GoneError(f"the changes of {self.path} are gone")
                raise SourceError(f"{self.path} cannot be watched: {each.get('message') or each.get('reason')}")
            if kind != "BOOKMARK":
                self._take(kind, each)
            self._version = str(each["metadata"]["resourceVersion"])

    def _take(self, kind: str, each: Object) -> None:
        uid, kept = _uid(each), self._kept(each)
        self.objects.pop(uid, None)
        if kept is not None:
            (self.gone if kind == "DELETED" else self.objects)[uid] = kept
        if len(self.gone) > MOST_GONE:
            del self.gone[next(iter(self.gone))]

    def _kept(self, each: Object) -> Kept | None:
        try:
            return self.keep(each)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # Of one that is written in another way than is known nothing is told; the others are.
            log.warning("an object of %s is left out: %s: %s", self.path, type(error).__name__, error)
            return None


def _uid(each: Object) -> str:
    return str(each["metadata"]["uid"])
