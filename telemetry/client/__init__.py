"""A client of the API: typed, synchronous, lists as iterators that fetch page after page, readings as Arrow or frames.

    with Client("http://127.0.0.1:8080", key="tk_…") as api:
        for gpu in api.gpus(host="node-1"):
            print(gpu["id"], api.arrow(gpu["id"], metrics=["DCGM_FI_DEV_GPU_TEMP"], start="-24h").num_rows)

A request that is refused because the server is busy is sent again when the API says so.
The client needs httpx (`pip install telemetry-pipeline[client]`), and pandas or polars only for what returns their frames.

`api` is the client itself, `documents` the types of what it returns. `queries` turns Python values into parameters, `session`
does the HTTP: pages, retries, errors.
"""

from telemetry.client.api import Client
from telemetry.client.documents import Gpu, Reading, Upload
from telemetry.client.session import ApiError

__all__ = ["ApiError", "Client", "Gpu", "Reading", "Upload"]
