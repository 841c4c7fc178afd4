"""Fuzzers: mutated inputs of every kind that doorbuster reads, each from a numbered seed.

`make fuzz` runs them for some minutes; `python -m tests.fuzz --help` lists the options. A case either is
accepted or ends in an error for people; anything else is a finding, printed with the command that repeats it.
"""
