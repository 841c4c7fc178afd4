"""The live view of a run: its state from the growing run file, and a page that shows it in the browser."""
