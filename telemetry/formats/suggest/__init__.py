"""Suggests how to read a file that no format knows: a `[[source]]` for the file that TELEMETRY_SOURCE_SETTINGS names.

`table` takes the first records of a file, `times` finds its times, `columns` what else its columns are, and `document` writes
it down. What a file does not say is asked, never guessed: a zone, a host, a GPU, a unit of two meanings.
"""
