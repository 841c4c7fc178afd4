// Charts of the load, of what became of the customers, of errors, of the shop and of the generator.

/** What of the filter does not apply to a chart, as a note. */
function ignored(state, names) {
  const found = names.filter((name) => state[name] !== null);
  return found.length ? `Not filtered by ${found.join(" and ")}.` : "";
}

function countWindow(state) {
  return windowWidth(state.data, state.to - state.from, 120);
}

function loadChart(state) {
  const { data, filter } = state;
  const width = countWindow(state);
  const rows = data.arrivals.filter(([channel]) => filter.channel === null || channel === filter.channel);
  const column = (at) => {
    const parts = rows.map((row) => intoWindows(data, row[at], filter, width, sum));
    return windowStarts(filter, width).map((_, place) => parts.reduce((total, part) => total + (part[place] || 0), 0) / width);
  };
  const [planned, started, dropped] = [1, 2, 3].map(column);
  if (data.closed || ![...planned, ...started].some((value) => value > 0)) return null; // users do not arrive
  const series = [{ label: "planned", pen: "--planned", dash: DASHES["--"], values: planned }, { label: "delivered", pen: "--ok", values: started }];
  if (dropped.some((value) => value > 0)) series.push({ label: "dropped by the generator", pen: "--dropped", dash: DASHES[":"], values: dropped });
  return {
    title: "Customers per second, planned and delivered",
    note: ignored(state, ["journey", "step", "outcome"]),
    x: windowStarts(filter, width), step: true, series, unit: "per_s",
  };
}

function inShopChart(state) {
  const { data, filter } = state;
  const width = countWindow(state);
  const values = intoWindows(data, data.in_shop, filter, width, Math.max);
  if (!values.some((value) => value > 0)) return null;
  return {
    title: data.closed ? "Users at work" : "Customers in the shop",
    note: [`The most in windows of ${durationText(width)}.`, ignored(state, FILTERS)].join(" ").trim(),
    x: windowStarts(filter, width), step: true, series: [{ label: data.closed ? "users" : "in the shop", pen: "--strong", values }], unit: "count",
  };
}

function outcomeChart(state) {
  const { data, filter } = state;
  const width = countWindow(state);
  const starts = windowStarts(filter, width);
  const columns = data.ends.map(() => starts.map(() => 0));
  let any = false;
  for (const row of customersOf(data, filter)) {
    columns[row.outcome][Math.floor((row.bucket * data.width_s - starts[0]) / width)] += row.n / width;
    any = true;
  }
  if (!any) return null;
  return {
    title: "What became of the customers, by the second they arrived",
    note: ignored(state, ["step", "outcome"]),
    x: starts, step: true, stack: true,
    series: data.ends.map(([name, pen], at) => ({ label: name, pen, values: columns[at] })).filter((one) => one.values.some((value) => value > 0)),
    unit: "per_s",
  };
}

const CAUSE_PENS = ["--failed", "--c4", "--c5", "--c3", "--ok"];

function errorChart(state) {
  const { data, filter } = state;
  const width = countWindow(state);
  const cause = (series) => (series.outcome === OK ? null : series.cause);
  const { starts, found } = requestCounts(data, data.runs[0], filter, cause, width);
  if (!found.size) return null;
  const total = (values) => values.reduce(sum, 0);
  const ordered = [...found].sort((a, b) => total(b[1]) - total(a[1]));
  const shown = ordered.slice(0, MOST_LINES - 1).map(([name, values], at) => ({ label: nameOf(data, name), pen: nameOf(data, name) === "patience" ? "--abandoned" : CAUSE_PENS[at % CAUSE_PENS.length], values: values.map((n) => n / width) }));
  const rest = ordered.slice(MOST_LINES - 1);
  if (rest.length) {
    shown.push({ label: `${rest.length} other causes`, pen: "--quiet", values: starts.map((_, at) => rest.reduce((n, [, values]) => n + values[at], 0) / width) });
  }
  return { title: "Failed and abandoned requests per second, by cause", note: "", x: starts, step: true, stack: true, series: shown, unit: "per_s" };
}

const TIMING = ["minute", "channel", "journey", "step", "entry", "us", "weight"];

function timingChart(state) {
  const { data, filter } = state;
  const entries = new Map();
  const width = Math.max(60, Math.ceil(countWindow(state) / 60) * 60);
  const starts = windowStarts({ from: Math.floor(filter.from / width) * width, to: filter.to }, width);
  for (const row of rowsOf(data.timings, TIMING)) {
    if (["channel", "journey", "step"].some((name) => filter[name] !== null && filter[name] !== row[name])) continue;
    const at = Math.floor((row.minute * 60 - starts[0]) / width);
    if (at < 0 || at >= starts.length) continue;
    if (!entries.has(row.entry)) entries.set(row.entry, starts.map(() => [0, 0]));
    entries.get(row.entry)[at][0] += row.us;
    entries.get(row.entry)[at][1] += row.weight;
  }
  if (!entries.size) return null;
  const means = [...entries].map(([entry, cells]) => [entry, cells.map(([us, weight]) => (weight ? us / weight / 1e3 : null))]);
  const most = (values) => Math.max(...values.filter((value) => value !== null));
  means.sort((a, b) => most(b[1]) - most(a[1]));
  return {
    title: "Mean time that the shop reports, by entry",
    note: ["Server-Timing of sampled answers, by minute.", ignored(state, ["outcome"])].join(" ").trim(),
    x: [...starts, starts[starts.length - 1] + width], step: true,
    series: means.slice(0, MOST_LINES).map(([entry, values], at) => ({ label: nameOf(data, entry), pen: CYCLE[at][0], dash: DASHES[CYCLE[at][1]], values: [...values, values[values.length - 1]] })),
    unit: "ms",
  };
}

const ORDER = ["bucket", "channel", "journey", "answer", "n"];
const ANSWER_PENS = { acknowledged: "--served", refused: "--turned-away" };

function orderChart(state) {
  const { data, filter } = state;
  const width = countWindow(state);
  const starts = windowStarts(filter, width);
  const answers = new Map();
  for (const row of rowsOf(data.orders.attempts, ORDER)) {
    const second = row.bucket * data.width_s;
    if (second < filter.from || second >= filter.to) continue;
    if (["channel", "journey"].some((name) => filter[name] !== null && filter[name] !== row[name])) continue;
    if (!answers.has(row.answer)) answers.set(row.answer, starts.map(() => 0));
    answers.get(row.answer)[Math.floor((second - starts[0]) / width)] += row.n / width;
  }
  const series = [...answers].map(([answer, values], at) => ({ label: nameOf(data, answer), pen: ANSWER_PENS[nameOf(data, answer)] || CYCLE[at % MOST_LINES][0], values }));
  for (const [name, label, pen, dash] of [["placed", "in the shop's ledger", "--strong", "--"], ["picked", "picked", "--c4", ":"]]) {
    if (!data.orders[name]) continue;
    const values = intoWindows(data, data.orders[name], filter, width, sum).map((n) => (n === null ? null : n / width));
    series.push({ label, pen, dash: DASHES[dash], values });
  }
  if (!series.some((one) => one.values.some((value) => value > 0))) return null;
  return {
    title: "Orders per second: the shop's answers and its ledger",
    note: [data.orders.placed ? "The ledger has all channels and journeys." : "", ignored(state, ["step", "outcome"])].join(" ").trim(),
    x: starts, step: true, series, unit: "per_s",
  };
}

const HEALTH = {
  cpu: ["Share of a core that the busiest worker used", "ratio"],
  lag_ms: ["Longest delay of a timer in the generator", "ms"],
  pool_wait_ms: ["Time that requests waited for a connection of their customer", "ms"],
};

function healthChart(name) {
  return (state) => {
    const { data, filter } = state;
    if (!data.health[name]) return null;
    const width = countWindow(state);
    const values = intoWindows(data, data.health[name], filter, width, Math.max);
    if (!values.some((value) => value > 0)) return null;
    const [title, unit] = HEALTH[name];
    return { title, note: ignored(state, FILTERS), x: windowStarts(filter, width), step: true, series: [{ label: "most", pen: "--planned", values }], unit, height: 130 };
  };
}

const MOST_OBSERVED = 48;

/** A chart of the metric with this place among those observed at the target. */
function observedChart(place) {
  return (state) => {
    const { data, filter } = state;
    const moving = (data.observed || []).filter(([, values]) => new Set(values.filter((value) => value !== null)).size > 1);
    if (!moving[place]) return null;
    const [title, all] = moving[place];
    const width = countWindow(state);
    const values = intoWindows(data, all, filter, width, Math.max);
    return {
      title,
      note: place ? "" : [`The largest value in windows of ${durationText(width)}.`, ignored(state, FILTERS)].join(" ").trim(),
      x: windowStarts(filter, width), step: true, series: [{ label: "largest", pen: "--strong", values }], unit: "", height: 110,
    };
  };
}
