"""Runs Alembic: brings a database to the schema that this package needs, and says which one it has.

Versions overlap: while a release is replaced, and after it was taken back, the schema is newer than some processes need.
So a migration adds only what the previous version can live with, and removes only what that version no longer needs.
"""

from __future__ import annotations

from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from telemetry import resources


def config(engine: Engine | None = None) -> Config:
    """Alembic's configuration. The engine travels in its attributes, so that no URL with a password is written down."""
    configuration = Config(attributes={"engine": engine})
    configuration.set_main_option("script_location", str(resources.path("migrations")))
    return configuration


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to a revision. A database that a later version has migrated stays as it is.

    Safe when several processes call it at once: env.py holds an advisory lock.
    """
    if not is_newer(current(engine)):
        command.upgrade(config(engine), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the database back to a revision (`base` empties it)."""
    command.downgrade(config(engine), revision)


def head() -> str:
    """The revision this package needs."""
    revision = _scripts().get_current_head()
    assert revision is not None, "the package ships at least one migration"  # noqa: S101
    return revision


def is_newer(revision: str | None) -> bool:
    """Whether a later version made this revision: this package does not know it."""
    return revision is not None and revision not in {script.revision for script in _scripts().walk_revisions()}


def serves(revision: str | None) -> bool:
    """Whether this package can work with a revision: the one it needs, or a newer one."""
    return revision == head() or is_newer(revision)


def current(engine: Engine) -> str | None:
    """The revision of a database, None if it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


# Once a process: to read them compiles each migration, and a probe asks for the newest one every second.
@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())
