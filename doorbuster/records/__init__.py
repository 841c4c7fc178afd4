"""What a run leaves behind: histograms, the run file, the shop's ledger, exports. No locust, no gevent.

batch       what a worker reports once a second          histogram  counted latencies
runfile     writing a run file: RunWriter                run        reading it: Run
ledger      the shop's books, and the audit              meta       the title page, and what readers get
schema      the tables and their version                 tally      adding up very many histograms
hdr, hlog   the HdrHistogram wire and log formats        export     a run as .hlog
"""
