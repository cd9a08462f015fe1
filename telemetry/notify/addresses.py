"""The places that messages go to: URLs that Apprise understands, such as mailtos://, slack:// and json://."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from telemetry.notify.messages import Message

if TYPE_CHECKING:
    from apprise import Apprise

log = logging.getLogger(__name__)


class AddressError(ValueError):
    """An address that cannot be used. Its text holds no secret."""


class Address:
    """One place. It is named by its number and kind, as the rest of its URL may be secret."""

    def __init__(self, number: int, url: str) -> None:
        try:
            from apprise import Apprise  # noqa: PLC0415 - the extra notify has it
        except ModuleNotFoundError:
            raise AddressError("TELEMETRY_NOTIFY needs Apprise; install telemetry-pipeline[notify]") from None
        kind = url.partition(":")[0]
        self.name = f"address {number} ({kind})"
        self._place: Apprise = Apprise()
        if not self._place.add(url):
            raise AddressError(f"TELEMETRY_NOTIFY: {self.name} is no URL that Apprise knows; its documentation lists them")

    def send(self, message: Message) -> bool:
        """Send a message. False if that failed; Apprise's log says why."""
        from apprise import NotifyFormat, NotifyType  # noqa: PLC0415 - the extra notify has it

        kind = NotifyType.SUCCESS if message.is_good else NotifyType.WARNING
        try:
            sent = self._place.notify(body=message.text, title=message.title, notify_type=kind, body_format=NotifyFormat.TEXT)
        except Exception as error:  # noqa: BLE001 - code of a hundred services
            log.warning("cannot tell %s: %s", self.name, type(error).__name__)
            return False
        if not sent:
            log.warning("cannot tell %s; it is tried again", self.name)
        return bool(sent)


def addresses(urls: Sequence[str]) -> list[Address]:
    """The places of some URLs. Raises AddressError."""
    return [Address(number, url) for number, url in enumerate(urls, 1)]
