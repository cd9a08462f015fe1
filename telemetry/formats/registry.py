"""The formats that a streamer reads, and which of them a header belongs to.

A new format is one module and one line here. `telemetry.verify.formats.registry` lists the readers of `verify`, which are
written separately; a test holds the two lists together.
"""

from __future__ import annotations

from telemetry.formats.amd_smi import AmdSmi
from telemetry.formats.base import Format
from telemetry.formats.dcgm import Dcgm
from telemetry.formats.dcgm_fields import DcgmFields
from telemetry.formats.dcgmi_dmon import DcgmiDmon
from telemetry.formats.fleetint import FleetInt
from telemetry.formats.fleetint_events import FleetIntEvents
from telemetry.formats.hl_smi import HlSmi
from telemetry.formats.kempnerpulse import KempnerPulse
from telemetry.formats.labelled import Labelled
from telemetry.formats.mapped import Mapped
from telemetry.formats.nvidia_apps import NvidiaApps
from telemetry.formats.nvidia_dmon import NvidiaDmon
from telemetry.formats.nvidia_pmon import NvidiaPmon
from telemetry.formats.nvidia_smi import NvidiaSmi
from telemetry.formats.records import BLANKS, decoded, is_text
from telemetry.formats.rocm_smi import RocmSmi
from telemetry.formats.slurm_jobs import SlurmJobs
from telemetry.formats.xpu_smi import XpuSmi
from telemetry.formats.xpu_smi_query import XpuSmiQuery
from telemetry.readings.source_settings import SourceSettings

# A header is offered to each in this order; the first that takes it reads the file.
FORMATS: tuple[type[Format], ...] = (
    *(Dcgm, NvidiaSmi, NvidiaDmon, DcgmFields),
    *(DcgmiDmon, AmdSmi, RocmSmi, XpuSmi, XpuSmiQuery, HlSmi),
    *(NvidiaApps, NvidiaPmon, KempnerPulse, FleetInt, FleetIntEvents),
    SlurmJobs,
    *(Labelled, Mapped),
)


def kinds(settings: SourceSettings) -> tuple[type[Format], ...]:
    """The formats that may read a source. What an operator says of a file goes before what it looks like."""
    return (Mapped,) if settings.mapping else FORMATS


def names_in(cells: list[bytes], settings: SourceSettings) -> list[str] | None:
    """The names in the cells of a header record, without what stands behind a comma at its end; None if they are no text.

    A mapping counts a column without a name itself.
    """
    together = b",".join(cells)
    if b"\0" in together or not is_text(together):
        return None
    names = [decoded(cell).strip(BLANKS) for cell in cells]
    return names[:-1] if len(names) > 1 and not names[-1] and not settings.mapping else names


def recognise(cells: list[bytes], settings: SourceSettings) -> Format | None:
    """The format under a header record with these cells; None if no format takes it, or they are no text."""
    names = names_in(cells, settings)
    if names is None:
        return None
    offers = (each.of_header(names, settings) for each in kinds(settings))
    return next((offer for offer in offers if offer is not None), None)
