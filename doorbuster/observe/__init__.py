"""Observes the target during a run, in a process of its own: `python -m doorbuster.observe`.

Sources are read once a second, and their values written as one line of JSON a second to standard output.
Nothing here imports Locust, gevent or a heavy library, so that observing costs little and slows no load.
"""
