"""Decides which checks a role needs, in which order, and which of them the others stand on.

The modules of broker and database are imported by name, and only where the role needs them: an edge has no driver for a
database. This is done before any deadline runs, as libraries may take seconds to come from a slow disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from telemetry.doctor import address, machine, reach, resolution
from telemetry.doctor.address import Address
from telemetry.doctor.certificates import Certificate
from telemetry.doctor.course import Check, Course
from telemetry.doctor.finding import Judgement
from telemetry.settings import Settings
from telemetry.settings.sentinel_url import is_sentinel

DoctorRole = Literal["edge", "central", "api"]
ROLES: tuple[DoctorRole, ...] = get_args(DoctorRole)


def courses(settings: Settings, role: DoctorRole) -> list[Course]:
    """The checks of a role."""
    centre = ("broker", "sentinels", "database", "replica", *(("logins",) if settings.oidc_issuer else ()))
    for name in ("broker", "sentinels", "sources") if role == "edge" else centre:
        # What is missing is told by the check that needs it.
        with suppress(ImportError):
            _imported(name)
    made = [Course("machine", list(_machine(settings, role)))]
    # An edge needs its own alone.
    for name, one in {"": settings}.items() if role == "edge" else settings.brokers.items():
        made.append(Course(f"broker {name}".rstrip(), list(_broker(one, role))))
    if role != "edge":
        made.append(Course("database", list(_database(settings, role))))
        if settings.database_read_url:
            made.append(Course("replica", list(_replica(settings))))
        if settings.oidc_issuer:
            made.append(Course("logins", list(_logins(settings))))
    return made


def _machine(settings: Settings, role: DoctorRole) -> Iterator[Check]:
    yield Check("libraries", lambda: machine.libraries(role))
    places = [Path(tempfile.gettempdir())]
    if role == "api" and settings.uploads:
        places.append(settings.spool_dir)
    yield Check("disk", lambda: machine.disk(places))
    if role != "edge":
        yield Check("open files", machine.open_files)
        return
    yield Check("sources", lambda: _imported("sources").check(settings))
    yield Check("open files", lambda: machine.open_files(len(_imported("sources").files(settings))))


def _broker(settings: Settings, role: DoctorRole) -> Iterator[Check]:
    if is_sentinel(settings.broker_url):
        named = address.broker(settings)
        yield Check("name", lambda: resolution.check(named))
        yield Check("sentinels", lambda: _imported("sentinels").check(settings), vital=True)
    else:
        yield from _network(address.broker(settings))
    asked = _Late(lambda: _imported("broker").Broker(settings, role))
    yield Check("credentials", asked.by("credentials"), vital=True)
    for name in ("rights", "round_trip", "clock", "eviction"):
        yield Check(name.replace("_", " "), asked.by(name))


def _database(settings: Settings, role: DoctorRole) -> Iterator[Check]:
    yield from _network(address.database(settings))
    asked = _Late(lambda: _imported("database").Database(settings, role))
    yield Check("credentials", asked.by("credentials"), vital=True)
    for name in ("schema", "rights", "round_trip", "clock", "durability", "locks"):
        yield Check(name.replace("_", " "), asked.by(name))


def _replica(settings: Settings) -> Iterator[Check]:
    yield from _network(address.replica(settings))
    asked = _Late(lambda: _imported("replica").Replica(settings))
    yield Check("standby", asked.by("standby"), vital=True)
    yield Check("lag", asked.by("lag"))


def _logins(settings: Settings) -> Iterator[Check]:
    asked = _Late(lambda: _imported("logins").Logins(settings))
    for name in ("libraries", "issuer"):
        yield Check(name, asked.by(name), vital=True)
    for name in ("keys", "client"):
        yield Check(name, asked.by(name))


def _network(addresses: list[Address]) -> Iterator[Check]:
    """From the name to a certificate that the product accepts."""
    named = [each for each in addresses if each.socket is None]
    if named:
        yield Check("name", lambda: resolution.check(named), vital=True)
    yield Check("connection", lambda: reach.check(addresses), vital=True)
    for each in named:
        if each.tls is None:
            continue
        certificate = Certificate(each, each.tls)
        which = f" of {each.host}" if len(named) > 1 else ""
        yield Check(f"encryption{which}", certificate.encryption, vital=True)
        if each.tls.checks_chain:
            yield Check(f"chain{which}", certificate.chain)
        if each.tls.checks_name:
            yield Check(f"host name{which}", certificate.name)
        if each.tls.checks_chain:
            yield Check(f"expiry{which}", certificate.expiry)


class _Late:
    """A module's object that is made when its first check is asked."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def by(self, name: str) -> Callable[[], Judgement]:
        """A question to it."""

        def ask() -> Judgement:
            self._made = self._made or self._make()
            judgement: Judgement = getattr(self._made, name)()
            return judgement

        return ask


def _imported(name: str) -> Any:
    return import_module(f"telemetry.doctor.{name}")
