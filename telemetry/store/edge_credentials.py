"""Which credentials of edges are valid: issued, retired and listed by their numbers. The audit log says by whom."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, func, insert, select, text, update

from telemetry.store import audit_log
from telemetry.store.models import EdgeCredential

LOCK = text("SELECT pg_advisory_xact_lock(7402114015)")


def valid(connection: Connection) -> dict[str, list[int]]:
    """The numbers of all valid credentials by their holder, oldest first."""
    columns = select(EdgeCredential.holder, EdgeCredential.serial).where(EdgeCredential.retired_at.is_(None))
    numbers: dict[str, list[int]] = {}
    for holder, serial in connection.execute(columns.order_by(EdgeCredential.holder, EdgeCredential.serial)):
        numbers.setdefault(holder, []).append(serial)
    return numbers


def revoked(connection: Connection) -> list[str]:
    """The holders that had credentials, and have no valid ones."""
    none_valid = func.count().filter(EdgeCredential.retired_at.is_(None)) == 0
    columns = select(EdgeCredential.holder).group_by(EdgeCredential.holder).having(none_valid)
    return list(connection.scalars(columns.order_by(EdgeCredential.holder)))


def issue(connection: Connection, holder: str, by: str) -> int:
    """Make the next credentials of a holder valid, beside those that are. Returns their number."""
    connection.execute(LOCK)
    last = connection.scalar(select(func.max(EdgeCredential.serial)).where(EdgeCredential.holder == holder)) or 0
    connection.execute(insert(EdgeCredential).values(holder=holder, serial=last + 1))
    audit_log.note(connection, by, "edge.issue", holder, {"serial": last + 1})
    return int(last) + 1


def retire(connection: Connection, holder: str, by: str, *, but: int = 0) -> list[int]:
    """End the credentials of a holder, but for one number. Returns the numbers of those that were valid."""
    ended = update(EdgeCredential).where(
        EdgeCredential.holder == holder, EdgeCredential.retired_at.is_(None), EdgeCredential.serial != but
    )
    statement = ended.values(retired_at=func.now()).returning(EdgeCredential.serial)
    numbers = sorted(int(serial) for (serial,) in connection.execute(statement))
    if numbers:
        audit_log.note(connection, by, "edge.retire", holder, {"serials": numbers})
    return numbers


def declare(connection: Connection, holder: str, serials: Sequence[int], by: str) -> list[int]:
    """Make these numbers of a holder valid and no others, but for those that were retired. Returns what is valid."""
    connection.execute(LOCK)
    known = set(connection.scalars(select(EdgeCredential.serial).where(EdgeCredential.holder == holder)))
    for serial in sorted(set(serials) - known):
        connection.execute(insert(EdgeCredential).values(holder=holder, serial=serial))
        audit_log.note(connection, by, "edge.issue", holder, {"serial": serial})
    of_holder = (EdgeCredential.holder == holder, EdgeCredential.retired_at.is_(None))
    ended = update(EdgeCredential).where(*of_holder, EdgeCredential.serial.not_in(serials)).values(retired_at=func.now())
    if numbers := sorted(connection.scalars(ended.returning(EdgeCredential.serial))):
        audit_log.note(connection, by, "edge.retire", holder, {"serials": numbers})
    return sorted(connection.scalars(select(EdgeCredential.serial).where(*of_holder)))


def listed(connection: Connection) -> Sequence[RowMapping]:
    """All credentials, by holder and number."""
    columns = (EdgeCredential.holder, EdgeCredential.serial, EdgeCredential.issued_at, EdgeCredential.retired_at)
    return connection.execute(select(*columns).order_by(*columns[:2])).mappings().all()
