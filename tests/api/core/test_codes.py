"""The codes of what can go wrong."""

from __future__ import annotations

import psycopg
import sqlalchemy.exc

from telemetry.api.core import codes


def test_every_code_has_a_status_of_an_error_and_a_meaning() -> None:
    for code, (status, meaning) in codes.CODES.items():
        assert 400 <= status < 600, code
        assert meaning, code
    also_named = {*codes.RETRY_AFTER_S, *codes.OF_STATUS.values(), *codes.OF_SQLSTATE_CLASS.values(), *codes.DATABASE_DETAILS}
    assert also_named <= codes.CODES.keys()


def test_what_the_database_says_has_its_code() -> None:
    told = {
        psycopg.errors.NumericValueOutOfRange(): "out_of_range",
        psycopg.errors.OutOfMemory(): "database_exhausted",
        psycopg.errors.ProgramLimitExceeded(): "query_too_large",
        psycopg.errors.QueryCanceled(): "query_timeout",
        psycopg.errors.AdminShutdown(): "database_unavailable",
        psycopg.errors.LockNotAvailable(): "database_unavailable",
        psycopg.errors.UndefinedTable(): None,
        sqlalchemy.exc.TimeoutError(): "database_unavailable",
    }
    assert {error: codes.of_database_error(error) for error in told} == told
