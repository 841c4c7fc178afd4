"""The receivers of a stream: one module for each protocol."""
