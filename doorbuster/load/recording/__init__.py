"""Recording what the customers of one worker did, and how the worker itself fared."""
