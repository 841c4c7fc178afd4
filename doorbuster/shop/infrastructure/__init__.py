"""Database, worker threads, cache and server process of the shop."""
