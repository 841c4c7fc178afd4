"""What a scenario amounts to before it runs: schedule, phases, estimates."""
