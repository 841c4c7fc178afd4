// Tables: the steps with their percentiles, the funnel, single requests.

function plainTable(head, rows, name) {
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, element("table", {},
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell)))))));
}

/** What a column is sorted by: its name, or its key where the name has a unit that follows the rows. */
const keyOf = (column) => column.key || column.name;

class SortedTable {
  /** columns: [{ name, key, number, value(row), cell(row) }]; value is what rows are sorted by, null comes last. */
  constructor(host, name, sort) {
    this.name = name;
    this.sort = sort;
    this.host = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name });
    host.append(this.host);
  }

  show(columns, rows) {
    this.columns = columns;
    this.rows = rows;
    this.#draw();
  }

  #draw() {
    const { columns } = this;
    const at = Math.max(0, columns.findIndex((column) => keyOf(column) === this.sort.key));
    const value = columns[at].value;
    const rank = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (x < y ? -1 : x > y ? 1 : 0) * (this.sort.falls ? -1 : 1);
    };
    const head = columns.map((column, place) => element(
      "th",
      { scope: "col", class: column.number ? "number" : null, "aria-sort": place === at ? (this.sort.falls ? "descending" : "ascending") : null },
      column.value
        ? element("button", { type: "button", onclick: () => this.#order(column) }, column.name, element("span", { class: "arrow", "aria-hidden": "true" }, place === at ? (this.sort.falls ? "▼" : "▲") : ""))
        : column.name,
    ));
    const body = [...this.rows].sort(rank).map((row) => element("tr", {}, ...columns.map((column, place) => element(
      place ? "td" : "th",
      { class: column.number ? "number" : column.class || null, scope: place ? null : "row" },
      column.cell(row),
    ))));
    this.host.replaceChildren(element("table", {}, element("caption", { class: "spoken" }, this.name), element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
  }

  #order(column) {
    const key = keyOf(column);
    this.sort = { key, falls: this.sort.key === key ? !this.sort.falls : Boolean(column.number) };
    this.#draw();
    this.host.querySelector("[aria-sort] button").focus();
  }
}

const SPARK_WIDTH = 110;
const SPARK_HEIGHT = 22;

function sparkline(values, pen) {
  const canvas = element("canvas", { class: "spark", width: 2 * SPARK_WIDTH, height: 2 * SPARK_HEIGHT, "aria-hidden": "true" });
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return UNKNOWN;
  const [low, high] = [Math.min(...known), Math.max(...known)].map((value) => Math.log(Math.max(value, 1e-3)));
  const ctx = canvas.getContext("2d");
  ctx.scale(2, 2);
  ctx.strokeStyle = cssColour(pen);
  ctx.lineWidth = 1.4;
  ctx.beginPath();
  let open = false;
  values.forEach((value, at) => {
    if (value === null) { open = false; return; }
    const x = 2 + (at / Math.max(1, values.length - 1)) * (SPARK_WIDTH - 4);
    const y = SPARK_HEIGHT - 3 - ((Math.log(Math.max(value, 1e-3)) - low) / (high - low || 1)) * (SPARK_HEIGHT - 6);
    if (open) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
    open = true;
  });
  ctx.stroke();
  return canvas;
}

const GROUPS = { step: "Step", channel: "Channel", journey: "Journey" };

function groupNames(data) {
  return data.closed ? { step: "Request", channel: "User class", journey: "Type" } : GROUPS;
}

/** Percentiles, failures and losses of each step, channel or journey under the filter. */
function stepRows(state) {
  const { data, filter, by } = state;
  const run = data.runs[0];
  const shares = [...new Set([0.5, 0.95, 0.99, state.p])].sort((a, b) => a - b);
  const tally = new Tally();
  const rows = new Map();
  const groups = slotsBy(data, run, filter, (series) => series[by]);
  const before = data.runs[1] ? slotsBy(data, data.runs[1], { ...filter, from: 0, to: Infinity }, (series) => series[by]) : new Map();
  for (const [name, slots] of groups) {
    const quantiles = fill(run, slots, tally).quantiles(shares);
    const row = { name, n: tally.n, abandoned: tally.nAbandoned, quantiles: new Map(shares.map((p, at) => [p, quantiles[at]])), failed: 0, lost: 0, change: null };
    rows.set(name, row);
    if (before.has(name)) {
      const old = fill(data.runs[1], before.get(name), tally).quantile(state.p).us;
      const now = row.quantiles.get(state.p).us;
      if (old && now !== null) row.change = now / old - 1;
    }
  }
  eachSlot(data, run, filter, (slot, series) => {
    if (series.outcome !== FAILED) return;
    if (!rows.has(series[by])) rows.set(series[by], { name: series[by], n: 0, abandoned: 0, quantiles: new Map(), failed: 0, lost: 0, change: null });
    rows.get(series[by]).failed += run.slotN[slot];
  }, { failed: true });
  for (const row of data.customers ? customersOf(data, filter) : []) {
    if (row.outcome !== 0 && rows.has(row[by]) && (by !== "step" || filter.step === null || filter.step === row.step)) rows.get(row[by]).lost += row.n;
  }
  if (data.width_s) addCourses(state, rows, groups);
  return { rows: [...rows.values()], shares };
}

function addCourses(state, rows, groups) {
  const { data, filter, by } = state;
  const most = Math.max(1, ...[...rows.values()].map((row) => row.n));
  const width = Math.max(percentileWindow(data, most, filter), windowWidth(data, filter.to - filter.from, 40));
  for (const name of groups.keys()) {
    rows.get(name).course = inMs(percentilesOverTime(data, data.runs[0], { ...filter, [by]: name }, [state.p], width).columns[0]);
  }
}

function quantileCell(quantile, n, p, unit) {
  if (!quantile || quantile.us === null) {
    return element("span", { title: `needs ${countText(minimumN(p))} requests, there were ${countText(n)}` }, UNKNOWN);
  }
  return number(`${quantile.atLeast ? "≥ " : ""}${timeIn(unit, quantile.us)}`, quantile.us);
}

function timeIn(unit, us) {
  return unit ? threeDigits(us / 1e3 / unit[1]) : msText(us / 1e3);
}

const inUnit = (name, unit) => (unit ? `${name} (${unit[0]})` : name);

function quantileColumn(rows, p) {
  const unit = commonUnit(rows.map((row) => (row.quantiles.get(p)?.us ?? 0) / 1e3));
  return { name: inUnit(percentileName(p), unit), key: percentileName(p), number: true, value: (row) => row.quantiles.get(p)?.us ?? null, cell: (row) => quantileCell(row.quantiles.get(p), row.n, p, unit) };
}

function stepColumns(state, { rows, shares }) {
  const { data, by } = state;
  const columns = [
    { name: groupNames(data)[by], value: (row) => nameOf(data, row.name), cell: (row) => element("button", {
      type: "button", class: "choose", "aria-pressed": String(state[by] === row.name), title: "Show only this",
      onclick: () => state.change({ [by]: state[by] === row.name ? null : row.name }),
    }, nameOf(data, row.name)) },
    { name: "Requests", number: true, value: (row) => row.n, cell: (row) => number(countText(row.n), row.n) },
    ...shares.map((p) => quantileColumn(rows, p)),
  ];
  const count = (name, key) => {
    if (rows.some((row) => row[key])) columns.push({ name, number: true, value: (row) => row[key], cell: (row) => (row[key] ? number(countText(row[key]), row[key]) : "0") });
  };
  if (rows.some((row) => row.abandoned !== row.lost)) count("Abandoned", "abandoned"); // each lost customer abandoned one
  count("Failed", "failed");
  count("Customers lost", "lost");
  if (rows.some((row) => row.course && row.course.filter((value) => value !== null).length > 1)) {
    columns.push({ name: `${percentileName(state.p)} over time`, cell: (row) => (row.course ? sparkline(row.course, "--strong") : UNKNOWN) });
  }
  if (rows.some((row) => row.change !== null)) {
    columns.push({ name: `Change of ${percentileName(state.p)}`, number: true, value: (row) => row.change, cell: (row) => (row.change === null ? UNKNOWN : `${row.change >= 0 ? "+" : "−"}${shareText(Math.abs(row.change))}`) });
  }
  return columns;
}

/** How far customers came: rows of [name, n, of how many]. */
function funnelRows(state) {
  const totals = { all: 0, in: 0, browse: 0, browsed: 0, order: 0, ordered: 0 };
  for (const row of customersOf(state.data, state.filter)) {
    totals.all += row.n;
    if (row.outcome !== state.data.dropped) totals.in += row.n;
    if (row.browse >= 0) totals.browse += row.n;
    if (row.browse === 1) totals.browsed += row.n;
    if (row.order >= 0) totals.order += row.n;
    if (row.order === 1) totals.ordered += row.n;
  }
  return [["came in", totals.in, totals.all], ["could browse", totals.browsed, totals.browse], ["could order", totals.ordered, totals.order]];
}

function funnel(state) {
  const rows = funnelRows(state).filter(([, , whole]) => whole);
  if (!rows.length) return null;
  const most = rows[0][2];
  const bar = (name, n) => {
    const found = element("span", { class: name });
    found.style.width = `${(100 * n) / most}%`;
    return found;
  };
  return element("table", { class: "funnel" }, element("caption", {}, "How far customers came"), element("tbody", {}, ...rows.map(([name, n, whole]) => element(
    "tr", {},
    element("th", { scope: "row" }, name),
    element("td", { class: "number" }, number(countText(n), n), ` of ${countText(whole)}${name === "came in" ? "" : " who wanted to"}`),
    element("td", { class: "wide" }, element("span", { class: "bars", "aria-hidden": "true" }, bar("whole", whole), bar("bar", n))),
  ))));
}

const MOST_EXEMPLARS = 10;

function exemplarRows(state, isError) {
  const { data, filter } = state;
  const width = data.width_s || 1;
  const rows = (data.exemplars || []).map(([error, second, [channel, journey, step, outcome, cause], us, id, detail, url, status, trace]) => (
    { error, second, series: { channel, journey, step, outcome, cause }, us, id, detail, url, status, trace }))
    .filter((row) => Boolean(row.error) === isError && seriesMatch(row.series, filter)
      && Math.floor(row.second / width) * width >= filter.from && row.second < filter.to);
  return isError ? rows.sort((a, b) => a.second - b.second) : rows;
}

/** The id of a request; the id of its trace, linked where the scenario says how. */
function requestId(data, row) {
  const text = row.trace || row.id;
  if (!text) return UNKNOWN;
  const code = element("code", {}, text);
  if (!row.trace || !/^https?:/.test(data.trace_url)) return code;
  return element("a", { href: data.trace_url.replaceAll("{trace_id}", encodeURIComponent(row.trace)), rel: "noreferrer", target: "_blank" }, code);
}

function exemplarColumns(state, isError, rows) {
  const { data } = state;
  const unit = commonUnit(rows.map((row) => row.us / 1e3));
  const columns = [
    { name: "Time", number: true, value: (row) => row.second, cell: (row) => clockText(row.second) },
    { name: groupNames(data).step, value: (row) => nameOf(data, row.series.step), cell: (row) => element("span", {}, nameOf(data, row.series.step), element("small", {}, nameOf(data, row.series.channel))) },
    { name: inUnit("Took", unit), key: "Took", number: true, value: (row) => row.us, cell: (row) => number(timeIn(unit, row.us), row.us) },
    { name: "Ended", value: (row) => row.series.outcome, cell: (row) => (row.series.outcome === OK ? OUTCOMES[OK] : element("span", {}, OUTCOMES[row.series.outcome], element("small", {}, nameOf(data, row.series.cause)))) },
  ];
  if (rows.some((row) => row.status)) columns.push({ name: "Status", number: true, value: (row) => row.status, cell: (row) => (row.status ? String(row.status) : UNKNOWN) });
  if (rows.some((row) => row.id || row.trace)) columns.push({ name: "Request", cell: (row) => requestId(data, row) });
  if (rows.some((row) => row.detail || row.url)) {
    columns.push({ name: isError ? "Answer" : "Detail", class: "excerpt", cell: (row) => element("span", {}, row.url ? element("code", {}, row.url) : "", row.detail ? element("q", {}, row.detail) : "") });
  }
  return columns;
}
