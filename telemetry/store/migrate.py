"""Runs Alembic: brings a database to the schema this package needs, and tells where it stands."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from telemetry import resources


def config(engine: Engine | None = None) -> Config:
    """Alembic's configuration. The engine travels in its attributes, so that no URL with a password is written down."""
    made = Config(attributes={"engine": engine})
    made.set_main_option("script_location", str(resources.path("migrations")))
    return made


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to a revision. Safe when several processes call it at once: env.py holds an advisory lock."""
    command.upgrade(config(engine), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the database back to a revision (`base` empties it)."""
    command.downgrade(config(engine), revision)


def head() -> str:
    """The revision this package needs."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None, "the package ships at least one migration"  # noqa: S101
    return revision


def current(engine: Engine) -> str | None:
    """The revision a database is at, None when it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
