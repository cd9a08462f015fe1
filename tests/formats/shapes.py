"""Files as people have them who log GPUs: shapes that are not read as they stand, for want of settings or of a format.

The names of columns and the form of the cells are those of the tools named; the values are made up.
"""

from __future__ import annotations

import bz2
import gzip

LONG = "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n"
READING = "2026-11-05T00:00:00Z,DCGM_FI_DEV_POWER_USAGE,0,nvidia0,GPU-1,H200,node,,,,400,\n"
SMI = "timestamp, index, utilization.gpu [%], power.draw [W]\n"
SMI_ROW = "2026/11/05 10:00:00.123, 0, 92 %, 301.22 W\n"
TABLE = "+-----------------+\n| NVIDIA-SMI 570 |\n+-----------------+\n"
DMON = "# gpu    pwr  gtemp     sm\n# Idx      W      C      %\n    0    301     62     92\n"

FOREIGN: dict[str, str | bytes] = {
    "nvidia-smi": SMI + SMI_ROW * 3,
    "nvidia-smi without units": SMI + "2026/11/05 10:00:00.123, 0, 92, 301.22\n",
    "nvidia-smi without a header": SMI_ROW * 3,
    "nvidia-smi with a header before each row": (SMI + SMI_ROW) * 3,
    "nvidia-smi below its table": TABLE + SMI + SMI_ROW,
    "nvidia-smi through PowerShell": (SMI + SMI_ROW).replace("\n", "\r\n").encode("utf-16"),
    "nvidia-smi of a GPU that is gone": SMI + "2026/11/05 10:00:00.123, 0, [Unknown Error], [N/A]\n",
    "compute apps": "gpu_uuid, pid, process_name, used_gpu_memory [MiB]\nGPU-1, 7, python, 512 MiB\n",
    "dmon as a table": DMON * 2,
    "dmon as CSV": "#Time,gpu,pwr,gtemp,sm\n 10:00:00, 0, 301, 62, 92\n",
    "pmon": "# gpu         pid   type     sm\n# Idx           #    C/G      %\n    0        1234     C     92\n",
    "dcgmi dmon": "#Entity   GPUTL   POWER\nID\nGPU 0     92      301.2\n",
    "DCGM by job": "GPUId,TimeStampUs,Field,Values\n0,1793836800000000,power_usage_instant,301.2\n",
    "amd-smi": "timestamp,gpu,gfx_activity,socket_power\n1793836800,0,92,301\n\n1793836801,0,93,302\n",
    "rocm-smi": "device,GPU use (%),Average Graphics Package Power (W)\ncard0,92,301\n\ndevice,GPU use (%)\ncard0,92\n",
    "xpu-smi": "Timestamp, DeviceId, GPU Utilization (%), GPU Power (W)\n10:00:00.000,    0, 92.00, 301.22\n",
    "hl-smi": "0, 01P4-HL3090A0, HL-325L, 131072 MiB, 226 W, 36 C, 0 %\n",
    "home-made, local time": "timestamp,memory.used,memory.total,utilization.gpu\n2026-11-05 10:00:00,512,81559,92\n",
    "home-made, elapsed": "elapsed_sec,gpu_util_pct,mem_used_mb,power_w\n0.0,92,512,301\n0.5,93,512,302\n",
    "home-made, date apart": "Date,Time,Temperature,Power Used\n05-11-2026,10:00:00,62,301\n",
    "a data frame": ",timestamp,gpu,power.draw\n0,1793836800.5,0,301\n1,1793836801.5,0,302\n",
    "Grafana": 'sep=,\n"Time","{gpu=""0""}"\n"2026-11-05 10:00:00","92 %"\n',
    "GPU-Z": "        Date        , GPU Clock [MHz] , GPU Temperature [°C] ,\n2026-11-05 10:00:00 , 210.0 , 62.0 ,\n".encode(
        "latin-1"
    ),
    "codecarbon": "timestamp,project_name,duration,emissions,gpu_power\n2026-11-05T10:00:00,p,1.0,0.1,301.2\n",
    "names of Prometheus": "timestamp,__name__,UUID,gpu,value\n2026-11-05T10:00:00Z,DCGM_FI_DEV_GPU_TEMP,GPU-1,0,62\n",
    "semicolons": LONG.replace(",", ";") + READING.replace(",", ";"),
    "packed with bzip2": bz2.compress((LONG + READING).encode()),
    "packed and cut": gzip.compress((LONG + READING).encode(), mtime=0)[:-9],
    "epoch seconds, names of its own": "time,value,gpu_uuid,name\n1793836800,301,GPU-1,power\n",
}
# With the readings in them, and the lines that are not read.
PARTLY: dict[str, tuple[str | bytes, int, int]] = {
    "an agent's export, of the machine": (
        "timestamp,component,metric_name,value,labels\n2026-11-05T10:00:00Z,cpu,load,301,{}\n",
        0,
        0,
    ),
    "below a comment": ("# by cron\n\n" + LONG + READING, 1, 0),
    "packed": (gzip.compress((LONG + READING).replace(":00Z", ":02Z").encode(), mtime=0), 1, 0),
    "quoted, with CRLF": ((LONG + READING).replace("\n", "\r\n"), 1, 0),
    "nvidia-smi joined to it": (LONG + READING + SMI + SMI_ROW * 2, 1, 3),
    "between two of them": (LONG + READING + SMI + SMI_ROW * 2 + LONG + READING.replace(":00Z", ":01Z"), 2, 3),
    "a home-made file joined to it": (LONG + READING + "timestamp,gpu,power.draw\n1793836800,0,301\n", 1, 2),
}
