"""The settings: one frozen object, read once from the environment.

`fields` declares them, with `connections` and `flow`, which it builds on: every field of `Settings` is the variable
`TELEMETRY_<FIELD IN CAPITALS>`, with its parser, default and meaning, in one of `sections`. `parsers` turns texts into values,
`load` reads the environment, `spelling` finds variables that were misspelt, and `page` makes docs/SETTINGS.md of the
declarations. `sources_file` reads the file about sources that one of them names: in it, `mappings` say what columns mean, and
`times` how their times are written; `toml_lines` finds the line of a mistake. `rates_file` reads what GPUs cost. `toml_file`
reads such files for all. `logins` are the addresses of a provider by which people log in, and `groups_file` says what groups
may do. `sentinel_url` reads the URL of a broker behind sentinels, `brokers` the list of several ones, and `urls` takes any URL
apart.

Nothing is connected here. No other part of the package takes a setting from the environment, but for `client`, which looks
for the address of the API and a key. What else is read or set there belongs to others: `monitoring.counters.shared` keeps
prometheus_client's directory there, `monitoring.traces` looks for OpenTelemetry's service name, `algebra` limits OpenBLAS, and
`local` and `cli.up` hand an environment to the processes that they start.
"""

from telemetry.settings.connections import Role
from telemetry.settings.fields import Settings
from telemetry.settings.flow import VOLATILE_LABELS
from telemetry.settings.load import PREFIX, SettingsError, variable
from telemetry.settings.page import documentation
from telemetry.settings.spelling import misspelt, tell_misspelt

__all__ = [
    "PREFIX",
    "VOLATILE_LABELS",
    "Role",
    "Settings",
    "SettingsError",
    "documentation",
    "misspelt",
    "tell_misspelt",
    "variable",
]
