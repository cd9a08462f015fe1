"""What all tables share: the metadata, types of columns, names of constraints. The tables are in the modules beside this."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import DateTime, Double, LargeBinary, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

Time = DateTime(timezone=True)
# A name that makes a row unique: ordered by its bytes, as other orders change with the operating system.
Name = Annotated[str, mapped_column(Text(collation="C"))]


class Base(DeclarativeBase):
    """Common metadata: constraint names that Alembic can drop again."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )
    type_annotation_map = {datetime: Time, str: Text, float: Double, bytes: LargeBinary, dict[str, Any]: JSONB}  # noqa: RUF012
