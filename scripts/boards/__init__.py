"""Grafana's boards: `definitions` says what each shows, `render` gives it Grafana's form, `__main__` writes the files.

The files stand in telemetry/monitoring/boards/, for the chart and for Compose. No wheel carries them.
"""
