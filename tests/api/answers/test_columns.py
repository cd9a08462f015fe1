"""Models that are made of a table's columns."""

from __future__ import annotations

from datetime import datetime

from telemetry.api.answers.columns import row_of
from telemetry.api.resources.gpus import Gpu
from telemetry.store import models
from telemetry.store.read import inventory


def test_a_model_has_the_types_of_the_columns_and_null_where_they_may_be() -> None:
    columns = [models.Gpu.identity.label("id"), models.Gpu.index.label("index"), models.Gpu.first_seen.label("seen")]
    fields = {name: (field.annotation, field.is_required()) for name, field in row_of(columns).model_fields.items()}
    assert fields == {"id": (str, True), "index": (int | None, True), "seen": (datetime, True)}


def test_a_gpu_has_every_column_of_its_table_but_the_number() -> None:
    own = [column.name for column in inventory.gpu_columns()]
    assert list(Gpu.model_fields) == [*own, "last_seen", "silent_for_s"]
    assert len(own) == len(models.Gpu.__table__.columns) - 1
