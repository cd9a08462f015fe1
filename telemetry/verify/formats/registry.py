"""The readers that `verify` has: a line a format. A test holds this list and that of the streamer together."""

from __future__ import annotations

from telemetry.verify.formats.amd_smi import AmdSmiReader
from telemetry.verify.formats.base import FormatReader, Rules
from telemetry.verify.formats.dcgm import DcgmReader
from telemetry.verify.formats.dcgm_fields import DcgmFieldsReader
from telemetry.verify.formats.dcgmi_dmon import DcgmiDmonReader
from telemetry.verify.formats.fleetint import FleetIntEventsReader, FleetIntReader
from telemetry.verify.formats.hl_smi import HlSmiReader
from telemetry.verify.formats.kempnerpulse import KempnerPulseReader
from telemetry.verify.formats.labelled import LabelledReader
from telemetry.verify.formats.mapped import MappedReader
from telemetry.verify.formats.nvidia_apps import NvidiaAppsReader
from telemetry.verify.formats.nvidia_dmon import NvidiaDmonReader
from telemetry.verify.formats.nvidia_pmon import NvidiaPmonReader
from telemetry.verify.formats.nvidia_smi import NvidiaSmiReader
from telemetry.verify.formats.rocm_smi import RocmSmiReader
from telemetry.verify.formats.slurm_jobs import SlurmJobsReader
from telemetry.verify.formats.xpu_smi import XpuSmiReader
from telemetry.verify.formats.xpu_smi_query import XpuSmiQueryReader

# A header is offered to each in this order, the same as the streamer's.
READERS: tuple[type[FormatReader], ...] = (
    *(DcgmReader, NvidiaSmiReader, NvidiaDmonReader, DcgmFieldsReader),
    *(DcgmiDmonReader, AmdSmiReader, RocmSmiReader, XpuSmiReader, XpuSmiQueryReader, HlSmiReader),
    *(NvidiaAppsReader, NvidiaPmonReader, KempnerPulseReader, FleetIntReader, FleetIntEventsReader),
    SlurmJobsReader,
    *(LabelledReader, MappedReader),
)


def reader_of(names: tuple[str, ...], rules: Rules) -> FormatReader | None:
    """The reader under a header of these names, None if it belongs to no format. A source with a mapping has no other."""
    for kind in (MappedReader,) if rules.source.mapping else READERS:
        if (reader := kind.of_header(names, rules)) is not None:
            return reader
    return None
