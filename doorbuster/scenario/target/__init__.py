"""The shop a scenario loads: the embedded shop or a URL, and the content its answers must show."""
