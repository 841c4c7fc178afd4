"""The load: customers that arrive by the schedule, their HTTP client, and the plug-in that drives Locust.

What a locustfile needs is in `doorbuster.load.locustfile`. Importing this package alone imports nothing, so
that the HTTP client can be used without Locust, which patches the interpreter when it is imported.
"""
