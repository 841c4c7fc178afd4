"""Browser probes: real browsers that walk the shopping journey while the load runs.

One process for each probe, so that neither the browser nor its measurement reaches the load generator.

scenario.browsers ── process ──► probe process: visits ── page ── chromium (DevTools protocol over a pipe)
                                        │
                                 browsers/probe-N.jsonl ── collect, filmstrip ──► run file
"""
