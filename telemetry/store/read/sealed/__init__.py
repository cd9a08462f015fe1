"""Answers from the arrays of sealed days, by NumPy: the same as those of `history`, which SQL makes, and sooner.

`paths` decides which of the two an answer takes. `moment` lets several statements see the same samples, `fetched` reads them:
arrays, rows of open days and late ones, and `parts` says which arrays at once. `gathering` gives each its step and group,
`runs` aggregates them, with those that `hourly` makes of the sums of hours. `derived` has values in order of time, those of
formulas too, and `between` what happened between readings. `fleet` and `steps` are the answers, in `windows` of time. `raw`
has the readings of a GPU as they are, `raw_of_fleet` those of many, with the labels that `owners` finds, in `portions` of
`chunks` of time, for which `cut_days` cuts large days by `quotas`. `columns` is what an answer is. However long a span is, no
more than a bounded number of samples is in memory.
"""
