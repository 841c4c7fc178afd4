"""A comparison as a table in the terminal, as HTML, Markdown and JSON."""
