"""What must be true before the processes start: the database has the present schema, and the broker answers."""

from __future__ import annotations

import redis
from sqlalchemy.exc import DBAPIError

from telemetry import broker
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine


class UnreachableError(RuntimeError):
    """A server that was named does not let us in; the text is one line for the user, without a password."""


def prepare(settings: Settings) -> None:
    """Bring the database to the present schema, and see that the broker is there."""
    engine = make_engine(settings, application="up")
    try:
        migrate.upgrade(engine)
        with broker.connect(settings) as client:
            client.ping()
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise UnreachableError(f"the database {broker.shown(settings.database_url)} cannot be used: {reason}") from None
    except redis.RedisError as error:
        raise UnreachableError(f"the broker {broker.shown(settings.broker_url)} cannot be used: {error}") from None
    finally:
        engine.dispose()
