"""A made-up GPU fleet whose telemetry looks like a dcgm-exporter's, for demonstrations, tests and load.

`fleet` is the hardware, `jobs` what runs on it, `load` how hard that works over time, `faults` what is broken,
`behaviour` the resulting numbers and `state` what they carry on, `timeline` when each host is scraped, `rows` the CSV
text, `simulation` all of it together; `output` writes files, `pace` keeps to the wall clock, `run` does a history and
goes live. Imports numpy, the standard library and `telemetry.readings.catalogue`, nothing else of the project.
"""
