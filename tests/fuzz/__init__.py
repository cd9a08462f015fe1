"""Fuzzing of what takes foreign bytes: `make fuzz`, or `python -m tests.fuzz --minutes 10`.

`mutations` spoils bytes, `targets` says what each of them goes to and which errors are answers, `child` runs one target in a
process with bounds on memory and on the time of an input, and keeps the input of a crash. `__main__` runs all targets in turn.
Inputs that crashed once stand in `test_targets.py`, which runs a few inputs of each target too.
"""
