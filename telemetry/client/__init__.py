"""A client of the API: typed, synchronous, lists as iterators that fetch page after page, readings as Arrow or frames.

    with Client("http://127.0.0.1:8080", key="tk_…") as api:
        for gpu in api.gpus(host="node-1"):
            print(gpu["id"], api.arrow(gpu["id"], metrics="DCGM_FI_DEV_GPU_TEMP", start="-24h").num_rows)

A request that is refused because the server is busy is sent again when the API says so, and a question is asked again if the
network breaks off. The client needs httpx (extra `client`), pyarrow for tables (extra `tables`), and pandas or polars only for
their frames.

`api` is the client itself, `lists` and `tables` are the two forms in which it returns lists, `documents` the types of these.
`queries` turns Python values into parameters, `resources` knows the names of lists, `session` does the HTTP, `errors` says
what can go wrong, `events` reads the live stream, `frames` makes tables and frames, and `fleets` frames of many GPUs.
"""

from telemetry.client.api import Client
from telemetry.client.documents import (
    Event,
    FleetReading,
    Gpu,
    GpuHealth,
    GroupAggregate,
    Host,
    Latest,
    Metric,
    Reading,
    Reason,
    Upload,
    Usage,
)
from telemetry.client.errors import ApiError, ClientError, NetworkError

__all__ = [
    "ApiError",
    "Client",
    "ClientError",
    "Event",
    "FleetReading",
    "Gpu",
    "GpuHealth",
    "GroupAggregate",
    "Host",
    "Latest",
    "Metric",
    "NetworkError",
    "Reading",
    "Reason",
    "Upload",
    "Usage",
]
