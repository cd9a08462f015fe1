"""How a setting is declared, and the sections that docs/SETTINGS.md shows as headings, in their order."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import Any

from telemetry.settings.parsers import Parser


def setting(section: str, default: Any, parse: Parser, doc: str, *, secret: bool = False) -> Any:
    """A field of `Settings`. A callable default is called for each object. A secret is left out of the object's repr."""
    metadata = {"section": section, "parse": parse, "doc": doc, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


# Sections, in the order of the page; the fields of one stand together.
PROCESS = partial(setting, "Every process")
BROKER = partial(setting, "Broker")
TRUST = partial(setting, "Trust")
DATABASE = partial(setting, "Database")
EDGE = partial(setting, "Edge")
COLLECTOR = partial(setting, "Collector")
RETENTION = partial(setting, "Retention")
API = partial(setting, "API and uploads")
LOGIN = partial(setting, "Login by OpenID Connect")
USAGE = partial(setting, "Usage")
HEALTH = partial(setting, "Health of GPUs")
MONITORING = partial(setting, "Monitoring")
