"""Data model of a run and its file formats: run file, histograms, ledger, exports. No locust, no gevent.

batch           a worker's report, once a second    outcome         outcomes and causes
writer          writes a run file: RunWriter        reader          reads it: Run
schema          the tables and the format version   metadata        metadata of a run
request_reader  histograms of requests              secondary_metrics   everything else that is measured
rollup          request histograms per interval     rollup_table    rollups stored in the file
request_table_scan  the table of requests as arrays
histogram       counted latencies                   export          a run as .hlog
ledger          the shop's ledger and the audit     ledger_csv      a ledger from CSV files
hdr, hlog       the HdrHistogram wire and log formats
result_file     results about several runs, as JSON
"""
