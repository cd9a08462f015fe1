"""Dead letters: messages that could not be stored, until a person retries or drops them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, RowMapping, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from telemetry.store.models import Batch, DeadLetter


@dataclass(frozen=True, slots=True)
class Letter:
    """What is kept of a message: why it is dead, its header as far as it can be stored, and its payload."""

    error: str
    header: dict[str, Any]
    payload: bytes


def add(connection: Connection, letter: Letter, *, edge: str | None, batch_id: str) -> None:
    """Keep a letter. `edge` is None if its message does not name its batch; then `batch_id` stands for its bytes."""
    connection.execute(insert(DeadLetter).values(**asdict(letter), edge=edge, batch_id=batch_id))


def add_nameless(connection: Connection, letter: Letter, batch_id: str) -> None:
    """Keep a letter of a message that does not name its batch, unless the same message is kept already: it may come again."""
    same = (DeadLetter.edge.is_(None), DeadLetter.batch_id == batch_id, DeadLetter.header == letter.header)
    if connection.execute(select(DeadLetter.id).where(*same).limit(1)).first() is None:
        add(connection, letter, edge=None, batch_id=batch_id)


def size_bytes(connection: Connection) -> int:
    """Bytes that the payloads of all letters take."""
    return int(connection.scalar(select(func.coalesce(func.sum(func.pg_column_size(DeadLetter.payload)), 0))) or 0)


def listed(connection: Connection, limit: int) -> Sequence[RowMapping]:
    """The `limit` oldest letters, without their payloads."""
    columns = (DeadLetter.id, DeadLetter.edge, DeadLetter.batch_id, DeadLetter.error, DeadLetter.died_at)
    return connection.execute(select(*columns).order_by(DeadLetter.id).limit(limit)).mappings().all()


def ids(connection: Connection) -> list[int]:
    """The ids of all letters, the oldest first."""
    return list(connection.scalars(select(DeadLetter.id).order_by(DeadLetter.id)))


def read(connection: Connection, letter_id: int) -> Row[Any] | None:
    """One letter with header and payload; None if there is none of this id."""
    return connection.execute(select(DeadLetter.__table__).where(DeadLetter.id == letter_id)).first()


def drop(connection: Connection, letter_id: int) -> bool:
    """Remove a letter; its batch stays dead in the ledger. False if there is none of this id."""
    dropped = connection.execute(delete(DeadLetter).where(DeadLetter.id == letter_id).returning(DeadLetter.id))
    return dropped.first() is not None


@contextmanager
def reopened(engine: Engine, letter: Row[Any]) -> Iterator[None]:
    """The dead batch of a letter leaves the ledger, so that it can be entered again.

    Whatever is raised meanwhile enters it as dead again, unless it was settled.
    """
    dead = delete(Batch).where(Batch.edge == letter.edge, Batch.batch_id == letter.batch_id, Batch.status == "dead")
    with engine.begin() as connection:
        batch = connection.execute(dead.returning(*Batch.__table__.c)).mappings().first()
    try:
        yield
    except BaseException:
        if batch is not None:
            again = insert(Batch.metadata.tables[Batch.__tablename__]).values(dict(batch)).on_conflict_do_nothing()
            with engine.begin() as connection:
                connection.execute(again)
        raise


def settled(connection: Connection, letter: Row[Any]) -> tuple[str, str | None] | None:
    """What became of the batch of a letter since: `stored`, or `dead` by a newer letter, with its error. None: nothing yet."""
    newer = select(DeadLetter.error).where(
        DeadLetter.edge == letter.edge, DeadLetter.batch_id == letter.batch_id, DeadLetter.id > letter.id
    )
    error = connection.scalar(newer.order_by(DeadLetter.id.desc()).limit(1))
    if error is not None:
        return "dead", error
    stored = select(Batch.status).where(Batch.edge == letter.edge, Batch.batch_id == letter.batch_id, Batch.status == "stored")
    return None if connection.scalar(stored) is None else ("stored", None)
