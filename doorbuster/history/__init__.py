"""The history of many runs: one SQLite file, changes with their commits, and the trend towards the peak.

identity   which runs may stand in one timeline: scenario, target, machine and branch
store      the file: add, merge, annotate, prune
timeline   one metric of comparable runs with its change points
sections   timelines as sections of a report
otava_csv  export for Apache Otava
"""
