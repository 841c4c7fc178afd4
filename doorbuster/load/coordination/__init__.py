"""Planning, distributing and closing a run across workers."""
