"""Answers from the arrays of sealed days, by NumPy: the same as those of `history`, which SQL makes, and sooner.

`paths` decides which of the two an answer takes. `moment` lets several statements see the same samples, `fetched` reads them:
arrays, rows of open days and late ones. `gathering` gives each its step and group, `runs` aggregates them, with those that
`hourly` makes of the sums of hours, and `fleet` and `steps` are the answers. `raw` has the readings of a GPU as they are, in
`chunks` of time, with the labels that `owners` finds. `columns` is what an answer is.
"""
