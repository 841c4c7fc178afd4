"""How many customers come and when: the curve of a peak and its rate over time."""
