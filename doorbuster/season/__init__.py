"""The season: forecast, runs and capacity of one campaign as a page for the board.

- `season_file`: season.yaml, which names everything; every problem of it at once.
- `evidence`, `capacity_evidence`: what the recorded runs and searches show.
- `reserve`: demand and capacity, both uncertain, to headroom, probability and orders at risk.
- `indicators`, `quick_wins`, `what_if`, `risks`, `industry`: the parts of the page.
"""
