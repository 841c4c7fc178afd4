"""Who comes, through which channel, for which journey, and how they behave."""
