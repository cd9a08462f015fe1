"""A made-up GPU fleet whose telemetry looks like a dcgm-exporter's, for demonstrations, tests and load.

`fleet` is the hardware, `jobs` what runs on it, `load` how hard the jobs work over time, and `faults` what is broken.
`behaviour` makes numbers of all that, and `state` holds what they carry from one time to the next. `timeline` says when each
host is scraped, `rows` writes the CSV text, and `simulation` puts these together. `truth` is what was so, whatever that text
says. `output` writes files, `pace` keeps to the wall clock, and `run` does a history and then goes live. Of the rest of the
project only `telemetry.readings` is used.
"""
