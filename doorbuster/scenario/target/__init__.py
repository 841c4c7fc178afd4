"""The target of a scenario: the embedded shop or a URL, and rules for the content of its responses."""
