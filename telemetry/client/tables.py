"""Lists of the API as Arrow tables, frames and files. What makes frames of them is `frames`' and `fleets`'."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from telemetry.client.lists import Lists
from telemetry.client.queries import Length, Names, OfReadings, Time, of_readings
from telemetry.client.resources import checked, telemetry_of
from telemetry.readings.aggregates import Aggregate

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from typing_extensions import Unpack

FileEncoding = Literal["csv", "ndjson", "arrow", "parquet"]


class Tables(Lists):
    """The lists of an API, as tables too."""

    def arrow(self, gpu: str, **query: Unpack[OfReadings]) -> pa.Table:
        """The readings of one GPU as an Arrow table: timestamp, gpu, metric, value, unit, labels (JSON).

        They are asked for by metrics, start, end, step and agg.
        """
        return self.table(telemetry_of(gpu), **of_readings(**query))

    def pandas(self, gpu: str, **query: Unpack[OfReadings]) -> pd.DataFrame:
        """The same as a pandas frame, with a column for each label, and categories for what repeats."""
        from telemetry.client import frames  # noqa: PLC0415 - needed for tables only

        return frames.expanded(self.arrow(gpu, **query)).to_pandas()

    def polars(self, gpu: str, **query: Unpack[OfReadings]) -> pl.DataFrame:
        """The same as a polars frame."""
        return _polars(self.arrow(gpu, **query))

    def fleet(
        self,
        metrics: Names,
        *,
        gpus: Names | None = None,
        start: Time = "-1h",
        end: Time | None = None,
        step: Length | None = None,
        agg: Aggregate | None = None,
        wide: bool = False,
        **filters: Any,
    ) -> pa.Table:
        """Readings of many GPUs as an Arrow table: of `gpus`, or of all that the filters leave (host, model, namespace, pod).

        Long, it has a row for each reading and a column for each label; with `step`, which asks once for each metric, host,
        index and model. Wide, it has a row for each time and a column for each GPU, named `metric GPU` if there are several
        metrics. Raises ValueError if two series of one GPU and metric meet at one time of a wide table, and for an owner
        (namespace, pod) of steps of single `gpus`: a step of a GPU is over all its owners.
        """
        from telemetry.client import fleets  # noqa: PLC0415 - needed for tables only

        owners = [name for name in fleets.OWNERS if filters.get(name) is not None]
        if gpus is not None and step is not None and owners:
            raise ValueError(f"a step of one GPU is over all its owners: leave out gpus, or {' and '.join(owners)}")
        names = metrics.split(",") if isinstance(metrics, str) else list(metrics)
        question = {"start": start, "end": end, "step": step, "agg": agg}
        asked = fleets.Fleet(self.table, lambda **query: (gpu["id"] for gpu in self.gpus(**query)), names, question, filters)
        return fleets.shaped(asked.of_gpus(gpus) if gpus is not None or step is None else asked.in_steps(), names, is_wide=wide)

    def frame(self, metrics: Names, *, kind: Literal["pandas", "polars"] = "pandas", **query: Any) -> Any:
        """`fleet` as a frame of pandas or polars. A wide one of pandas has the time as its index."""
        table = self.fleet(metrics, **query)
        if kind == "polars":
            return _polars(table)
        frame = table.to_pandas()
        return frame.set_index("timestamp") if query.get("wide") else frame

    def table(self, resource: str, **query: Any) -> pa.Table:
        """Any list as an Arrow table, such as `table("latest", host="a")`. `.to_pandas()` or `polars.from_arrow` convert it."""
        from telemetry.client import frames  # noqa: PLC0415 - needed for tables only

        return frames.read(self._session.send("GET", checked(resource), {**query, "format": "arrow"}).content)

    def save(
        self,
        path: str | Path,
        resource: str,
        format: FileEncoding = "csv",  # noqa: A002 - the API's word
        **query: Any,
    ) -> int:
        """Write any list to a file, in the same memory whatever its length, whole or not at all. Returns its size in bytes."""
        whole, asked = Path(path), {**query, "format": format}
        partial = whole.with_name(f".{whole.name}.part")
        address = checked(resource)

        def fetch() -> int:
            with partial.open("wb") as file, self._session.stream(address, asked) as response:
                return sum(file.write(piece) for piece in response.iter_bytes())

        try:
            size = self._session.again(fetch)
            partial.replace(whole)
        finally:
            partial.unlink(missing_ok=True)
        return size


def _polars(table: pa.Table) -> pl.DataFrame:
    from polars import from_arrow  # noqa: PLC0415 - needed for such a frame only

    from telemetry.client import frames  # noqa: PLC0415 - needed for tables only

    return cast("pl.DataFrame", from_arrow(frames.expanded(table)))
