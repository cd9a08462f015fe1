"""Runs Alembic: brings a database to the schema this package needs, and tells where it stands.

Versions overlap: while a release is replaced, and after it was taken back, the schema is newer than some processes need.
So a migration only adds what the version before can live with; what that one needs is removed a version later.
"""

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
    """Bring the database to a revision; one that is past all this package knows stays as it is.

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
    """Whether a revision is none that this package knows: a later version made it."""
    return revision is not None and revision not in {each.revision for each in _scripts().walk_revisions()}


def serves(revision: str | None) -> bool:
    """Whether this package can work on a revision: it is at what the package needs, or past it."""
    return revision == head() or is_newer(revision)


def current(engine: Engine) -> str | None:
    """The revision a database is at, None when it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())
