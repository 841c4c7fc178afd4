"""What stands below the manager's screen of a report, for engineers."""
