"""What the health of a GPU is judged by: rules as data, and how a rule is held against readings. No input but a file of rules.

`rules` are the rules, `rules_file` reads them from TOML, `defaults.toml` has those that nobody changed. `stretches` finds the
stretches of time in which a rule's condition held, `silences` those without any reading, `stragglers` the GPUs of a job that do
less than the others. `prometheus` makes alerts of the rules. What is stored of it is `telemetry.store`'s.
"""
