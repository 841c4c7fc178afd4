"""The Python process that generates load: timers, garbage collection, source addresses."""
