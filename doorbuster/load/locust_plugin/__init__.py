"""How the load engine plugs into Locust."""
