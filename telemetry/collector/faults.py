"""Whose fault it is that a batch took all the time there is: the batch's, or that of a database which did not answer."""

from __future__ import annotations

import sqlalchemy.exc
from sqlalchemy import Engine, text


class OverranError(Exception):
    """A group took all the time a process has, though the database answers."""


def answers(engine: Engine) -> bool:
    """Whether the database answers on a new connection; the old ones may lead nowhere."""
    engine.dispose()
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except sqlalchemy.exc.SQLAlchemyError:
        return False
    return True
