"""What one customer does: profile, behaviour, steps, retries."""
