-- The tables of a run file of format 1, as they were recorded then: never to be changed.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE writer (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  host TEXT NOT NULL, pid INTEGER NOT NULL, process_started_at_unix_s REAL NOT NULL,
  heartbeat_unix_ns INTEGER NOT NULL
);
CREATE TABLE workers (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last_seq INTEGER NOT NULL, final INTEGER NOT NULL
);
CREATE TABLE batches (worker INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (worker, seq)) WITHOUT ROWID;
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  channel TEXT NOT NULL, journey TEXT NOT NULL, step TEXT NOT NULL,
  outcome TEXT NOT NULL, cause TEXT NOT NULL,
  UNIQUE (channel, journey, step, outcome, cause)
);
CREATE TABLE requests (
  second INTEGER NOT NULL, series INTEGER NOT NULL, worker INTEGER NOT NULL,
  n INTEGER NOT NULL, bytes_sent INTEGER NOT NULL, bytes_received INTEGER NOT NULL,
  response BLOB NOT NULL, service BLOB NOT NULL, first_byte BLOB NOT NULL
);
CREATE INDEX requests_by_second ON requests (second);
CREATE TABLE customers (
  second INTEGER NOT NULL, worker INTEGER NOT NULL, channel TEXT NOT NULL, journey TEXT NOT NULL,
  outcome TEXT NOT NULL, step TEXT NOT NULL, cause TEXT NOT NULL,
  could_browse INTEGER, could_order INTEGER, n INTEGER NOT NULL
);
CREATE TABLE plan (
  channel TEXT NOT NULL, second INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (channel, second)
) WITHOUT ROWID;
CREATE TABLE arrivals (
  second INTEGER NOT NULL, worker INTEGER NOT NULL, channel TEXT NOT NULL,
  started INTEGER NOT NULL, dropped INTEGER NOT NULL
);
CREATE TABLE orders (
  idempotency_key TEXT NOT NULL, worker INTEGER NOT NULL, channel TEXT NOT NULL, journey TEXT NOT NULL,
  intended_s REAL NOT NULL, answered_s REAL NOT NULL, answer TEXT NOT NULL, cause TEXT NOT NULL,
  order_ref TEXT NOT NULL, total_pence INTEGER NOT NULL, lines TEXT NOT NULL
);
CREATE TABLE ledger_orders (
  id INTEGER PRIMARY KEY, order_ref TEXT NOT NULL, idempotency_key TEXT NOT NULL, channel TEXT NOT NULL,
  total_pence INTEGER NOT NULL, placed_at_s REAL NOT NULL, picked_at_s REAL
);
CREATE TABLE ledger_lines (
  ledger_order INTEGER NOT NULL, sku TEXT NOT NULL, quantity INTEGER NOT NULL, unit_pence INTEGER NOT NULL
);
CREATE INDEX ledger_lines_by_order ON ledger_lines (ledger_order);
CREATE TABLE ledger_stock (
  sku TEXT PRIMARY KEY, opening INTEGER NOT NULL, on_hand INTEGER NOT NULL, sold INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE exemplars (
  kind TEXT NOT NULL, second INTEGER NOT NULL, series INTEGER NOT NULL, worker INTEGER NOT NULL,
  response_us INTEGER NOT NULL, request_id TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE health (
  second INTEGER NOT NULL, worker INTEGER NOT NULL, cpu_ratio REAL NOT NULL, loop_lag_ms REAL NOT NULL,
  in_flight INTEGER NOT NULL, connections_opened INTEGER NOT NULL, reconnects INTEGER NOT NULL,
  rss_bytes INTEGER NOT NULL, lateness BLOB NOT NULL, pool_wait_ms REAL NOT NULL
);
CREATE TABLE events (at_s REAL NOT NULL, worker INTEGER, kind TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE gauges (second INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL);
