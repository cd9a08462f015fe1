"""The sequences that give ids: after a restore they may stand behind the ids that are there.

Logical replication brings rows and no sequences, and so does a dump of data alone
(https://www.postgresql.org/docs/current/logical-replication-restrictions.html). Each new id would then be one that is taken.
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, text

log = logging.getLogger(__name__)

SEQUENCES = text("""
    SELECT s.name, s.of_table, s.of_column FROM (
        SELECT c.oid::regclass::text AS of_table, quote_ident(a.attname) AS of_column,
            pg_get_serial_sequence(c.oid::regclass::text, a.attname) AS name
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE a.attidentity <> '' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'generations'::regclass)
    ) s WHERE has_sequence_privilege(s.name, 'UPDATE') ORDER BY 1
""")


def catch_up(connection: Connection) -> list[str]:
    """Set each sequence that is behind its table to the highest id; those tables. What this role may not set is left."""
    caught_up = []
    for name, table, column in connection.execute(SEQUENCES).all():
        statement = f"""
            SELECT setval('{name}', m.id) FROM (SELECT max({column}) AS id FROM {table}) m
            WHERE m.id > coalesce(pg_sequence_last_value('{name}'), 0)
        """  # noqa: S608 - names of the catalog, quoted by Postgres
        if connection.execute(text(statement)).first():
            caught_up.append(table)
    if caught_up:
        log.warning("the sequences of %s were behind the ids that are there, and were set to them", ", ".join(caught_up))
    return caught_up
