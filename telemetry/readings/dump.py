"""The columns of the dcgm form as we write it ourselves: what a dump of a dcgm-exporter has. Reading it is `formats.dcgm`'s."""

COLUMNS = (
    *("timestamp", "metric_name", "gpu_id", "device", "uuid", "modelName", "Hostname"),
    *("container", "pod", "namespace", "value", "labels_raw"),
)
HEADER = (",".join(COLUMNS) + "\n").encode()
