// Questions to the data under a filter {channel, journey, step, outcome, from, to}: names are numbers or null
// for all, times are seconds since the start, from <= second < to.

const OK = 0;
const FAILED = 1;
const ABANDONED = 2;
const BUCKETS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];

function seriesMatch(series, filter) {
  return ["channel", "journey", "step", "outcome"].every((key) => filter[key] === null || filter[key] === series[key]);
}

/** Calls use(slot, series) for each slot under the filter; percentiles leave failed requests out. */
function eachSlot(data, run, filter, use, { failed = false } = {}) {
  const wanted = run.series.map(
    (series) => seriesMatch(series, filter) && (failed || series.outcome !== FAILED || filter.outcome === FAILED),
  );
  const width = data.width_s || Infinity;
  for (let slot = 0; slot < run.slots; slot++) {
    if (!wanted[run.slotSeries[slot]]) continue;
    const start = run.slotBucket[slot] ? run.slotBucket[slot] * width : 0;
    if (start >= filter.from && start < filter.to) use(slot, run.series[run.slotSeries[slot]]);
  }
}

function addSlot(run, slot, tally, isAbandoned) {
  for (let entry = run.starts[slot]; entry < run.starts[slot + 1]; entry++) {
    tally.add(run.bins[entry], run.counts[entry], isAbandoned);
  }
}

/** Whether the time of a series is a lower bound under this filter. */
function isBound(series, filter) {
  return series.outcome === ABANDONED && filter.outcome === null;
}

function tallyOf(data, run, filter, tally = new Tally()) {
  tally.clear();
  eachSlot(data, run, filter, (slot, series) => addSlot(run, slot, tally, isBound(series, filter)));
  return tally;
}

/** Slots by key: a Map from key to [slot, isAbandoned] pairs. */
function slotsBy(data, run, filter, key, options) {
  const found = new Map();
  eachSlot(data, run, filter, (slot, series) => {
    const name = key(series, slot);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push([slot, isBound(series, filter)]);
  }, options);
  return found;
}

function fill(run, pairs, tally) {
  tally.clear();
  for (const [slot, isAbandoned] of pairs || []) addSlot(run, slot, tally, isAbandoned);
  return tally;
}

/** A readable width that cuts a length into at most `most` windows and is a multiple of the data's. */
function windowWidth(data, length, most) {
  return BUCKETS_S.find((width) => width % data.width_s === 0 && length / width <= most)
    || Math.ceil(length / most / data.width_s) * data.width_s;
}

/** Width of windows with, on average, twice the requests that a p95 needs: report section "latency". */
function percentileWindow(data, n, filter) {
  const windows = Math.min(60, Math.max(4, Math.floor(n / (2 * minimumN(0.95)))));
  return windowWidth(data, filter.to - filter.from, windows);
}

/** Starts of the windows of this width that touch the filter's times; windows count from the run's start. */
function windowStarts(filter, width) {
  const first = Math.floor(filter.from / width);
  const found = [];
  for (let at = first; at * width < filter.to; at++) found.push(at * width);
  return found;
}

/** Quantiles over time: {width, starts, n, columns}, one column of {us, atLeast} per share. */
function percentilesOverTime(data, run, filter, shares, width) {
  const starts = windowStarts(filter, width);
  const slots = slotsBy(data, run, filter, (_, slot) => Math.floor((run.slotBucket[slot] * data.width_s) / width));
  const tally = new Tally();
  const found = { width, starts, n: [], columns: shares.map(() => []) };
  for (const start of starts) {
    fill(run, slots.get(start / width), tally);
    found.n.push(tally.n);
    tally.quantiles(shares).forEach((quantile, at) => found.columns[at].push(quantile));
  }
  return found;
}

/** Counts of requests per window and key of the series: Map from key to an array over `starts`. */
function requestCounts(data, run, filter, key, width) {
  const starts = windowStarts(filter, width);
  const found = new Map();
  eachSlot(data, run, filter, (slot, series) => {
    const name = key(series);
    if (name === null) return;
    if (!found.has(name)) found.set(name, new Array(starts.length).fill(0));
    const at = Math.floor((run.slotBucket[slot] * data.width_s - starts[0]) / width);
    found.get(name)[at] += run.slotN[slot];
  }, { failed: true });
  return { starts, found };
}

/** Rows of a columnar table as objects, under the filter's times. */
function* rowsOf(columns, names) {
  for (let row = 0; row < (columns[0] || []).length; row++) {
    yield Object.fromEntries(names.map((name, at) => [name, columns[at][row]]));
  }
}

const CUSTOMER = ["bucket", "channel", "journey", "outcome", "step", "cause", "browse", "order", "n"];

function* customersOf(data, filter) {
  for (const row of rowsOf(data.customers, CUSTOMER)) {
    const second = row.bucket * data.width_s;
    if (second < filter.from || second >= filter.to) continue;
    if (filter.channel !== null && filter.channel !== row.channel) continue;
    if (filter.journey !== null && filter.journey !== row.journey) continue;
    yield row;
  }
}

/** Values per bucket joined into windows by sum or maximum; null where nothing is known. */
function intoWindows(data, values, filter, width, join) {
  return windowStarts(filter, width).map((start) => {
    let found = null;
    const end = Math.min(start + width, filter.to);
    for (let at = Math.round(Math.max(start, filter.from) / data.width_s); at * data.width_s < end; at++) {
      const value = values[at];
      if (value === null || value === undefined) continue;
      found = found === null ? value : join(found, value);
    }
    return found;
  });
}

const sum = (a, b) => a + b;
