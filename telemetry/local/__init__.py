"""The whole system on one machine, as `telemetry up` runs it.

`surroundings` says what the processes are given, `ports` where they listen, `scraping` how Prometheus finds them,
`preparation` what must be true before they start, `watch` keeps them running, `welcome` tells the user, `interrupts` ends
it. The processes themselves are `telemetry.local.supervisor`'s, the servers `telemetry.local.servers`'s.
"""
