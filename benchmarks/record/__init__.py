"""What `telemetry record` costs a node, by source. `sources` are what is recorded, `cost` measures, `each` is the other way."""
