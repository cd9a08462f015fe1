"""Gets the servers ready before the processes start: upgrades the database's schema, and checks that the broker answers.

It also looks whether the labels of the settings are those by which the database tells series apart.
"""

from __future__ import annotations

import redis
from sqlalchemy.exc import DBAPIError

from telemetry import broker
from telemetry.settings import Settings
from telemetry.store import migrate, rules
from telemetry.store.engine import make_engine
from telemetry.store.rules import OtherRulesError, Rule


class UnreachableError(RuntimeError):
    """The database or the broker cannot be used as they are; the text is one line for the user, without a password."""


def prepare(settings: Settings) -> None:
    """Upgrade the database's schema, compare the labels, ping the broker. Raises UnreachableError."""
    engine = make_engine(settings, application="up")
    try:
        migrate.upgrade(engine)
        with engine.begin() as connection:
            rules.check(connection, Rule.of(settings))
        with broker.connect(settings) as client:
            client.ping()
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise UnreachableError(f"the database {broker.shown(settings.database_url)} cannot be used: {reason}") from None
    except OtherRulesError as error:
        raise UnreachableError(str(error)) from None
    except redis.RedisError as error:
        raise UnreachableError(f"the broker {broker.shown(settings.broker_url)} cannot be used: {error}") from None
    finally:
        engine.dispose()
