// Charts of response times: percentiles over time, by step, heat map and bands, the percentile curve.

const DRAWN = [[0.5, "--served"], [0.95, "--strong"], [0.99, "--turned-away"]];
const CYCLE = [["--ok", "-"], ["--c2", "--"], ["--c3", "-."], ["--c4", ":"], ["--c5", "--"], ["--c6", "-."]];
const MOST_LINES = CYCLE.length;

function inMs(quantiles) {
  return quantiles.map((one) => (one.us === null ? null : one.us / 1e3));
}

/** Which of these are lower bounds. */
function areBounds(quantiles) {
  return quantiles.map((one) => one.atLeast);
}

/** "web · checkout", what the filter leaves; "all requests" without one. */
function filterName(state) {
  const names = FILTERS.filter((name) => state[name] !== null)
    .map((name) => (name === "outcome" ? OUTCOMES[state[name]] : nameOf(state.data, state[name])));
  return names.length ? names.join(" · ") : "all requests";
}

function nameOf(data, number) {
  return data.names[number] || "unnamed";
}

/** The thresholds that apply to what is shown, for one percentage or for any. */
function boundsFor(state, shares) {
  const { data } = state;
  return (data.thresholds || []).filter((one) => shares.some((p) => Math.abs(one.p - p * 100) < 1e-9)
    && Object.entries(one.tags).every(([tag, value]) => FILTERS.includes(tag) && state[tag] !== null && nameOf(data, state[tag]) === value))
    .map((one) => ({ at: one.bound_ms, label: one.text }));
}

function percentileChart(state) {
  const { data, filter } = state;
  const run = data.runs[0];
  const n = tallyOf(data, run, filter).n;
  if (!n) return null;
  const pens = DRAWN.some(([p]) => p === state.p) ? DRAWN : [...DRAWN, [state.p, "--c4"]].sort((a, b) => a[0] - b[0]);
  const shares = pens.map(([p]) => p);
  const width = percentileWindow(data, n, filter);
  const found = percentilesOverTime(data, run, filter, shares, width);
  if (found.columns.every((column) => column.every((one) => one.us === null))) return null;
  return {
    title: `Response time of ${filterName(state)}`,
    note: `Windows of ${durationText(width)}; a percentile is missing where a window has too few requests for it.`,
    x: found.starts.map((start) => start + width / 2),
    starts: found.starts,
    series: pens.map(([p, pen], at) => ({ label: percentileName(p), pen, values: inMs(found.columns[at]), atLeast: areBounds(found.columns[at]), dash: at === pens.length - 1 ? DASHES["-."] : [] })),
    unit: "ms",
    log: true,
    bounds: boundsFor(state, shares),
  };
}

function byStepChart(state) {
  const { data, filter } = state;
  const run = data.runs[0];
  if (filter.step !== null) return null;
  const groups = slotsBy(data, run, filter, (series) => series.step);
  if (groups.size < 2) return null;
  const tally = new Tally();
  const slowest = [...groups].map(([step, slots]) => ({ step, us: fill(run, slots, tally).quantile(state.p).us, n: tally.n }))
    .filter((one) => one.us !== null).sort((a, b) => b.us - a.us).slice(0, MOST_LINES);
  if (!slowest.length) return null;
  const fewest = Math.max(...slowest.map((one) => one.n));
  const width = percentileWindow(data, fewest, filter);
  const lines = slowest.map((one) => percentilesOverTime(data, run, { ...filter, step: one.step }, [state.p], width));
  if (lines.every((line) => line.columns[0].every((one) => one.us === null))) return null;
  return {
    title: `${percentileName(state.p)} of ${slowest.length === MOST_LINES && groups.size > MOST_LINES ? `the ${MOST_LINES} slowest steps` : "each step with enough requests"}`,
    note: `Windows of ${durationText(width)}, ${filterName(state)}.`,
    x: lines[0].starts.map((start) => start + width / 2),
    starts: lines[0].starts,
    series: slowest.map((one, at) => ({ label: nameOf(data, one.step), pen: CYCLE[at][0], dash: DASHES[CYCLE[at][1]], values: inMs(lines[at].columns[0]), atLeast: areBounds(lines[at].columns[0]) })),
    unit: "ms",
    log: true,
    bounds: [...boundsFor(state, [state.p]), ...slowest.flatMap((one) => boundsFor({ ...state, data, step: one.step, channel: state.channel, journey: state.journey, outcome: state.outcome }, [state.p]))]
      .filter((bound, at, all) => all.findIndex((other) => other.label === bound.label) === at),
  };
}

function rateChart(state) {
  const { data, filter } = state;
  const width = windowWidth(data, filter.to - filter.from, 120);
  const { starts, found } = requestCounts(data, data.runs[0], filter, (series) => series.outcome, width);
  if (!found.size) return null;
  const pens = [[OK, "answered", "--ok"], [ABANDONED, "abandoned", "--abandoned"], [FAILED, "failed", "--failed"]];
  return {
    title: "Requests per second",
    note: `By the time they were ${data.closed ? "sent" : "due"}, ${filterName(state)}.`,
    x: starts,
    step: true,
    stack: true,
    series: pens.filter(([outcome]) => found.has(outcome)).map(([outcome, name, pen]) => ({ label: name, pen, values: found.get(outcome).map((n) => n / width) })),
    unit: "per_s",
  };
}

const BANDS_PER_DOUBLING = 4;

/** How the requests of each window spread over response times: {width, starts, columns of [band, share], low, high}. */
function heatOf(data, run, filter) {
  const width = windowWidth(data, filter.to - filter.from, 90);
  const starts = windowStarts(filter, width);
  const columns = starts.map(() => new Map());
  let low = Infinity;
  let high = -Infinity;
  eachSlot(data, run, filter, (slot) => {
    const column = columns[Math.floor((run.slotBucket[slot] * data.width_s - starts[0]) / width)];
    for (let entry = run.starts[slot]; entry < run.starts[slot + 1]; entry++) {
      const band = Math.floor(Math.log2(Math.max(1, highestUs(run.bins[entry]))) * BANDS_PER_DOUBLING);
      column.set(band, (column.get(band) || 0) + run.counts[entry]);
      low = Math.min(low, band);
      high = Math.max(high, band);
    }
  });
  return { width, starts, columns, low, high };
}

const bandMs = (band) => 2 ** (band / BANDS_PER_DOUBLING) / 1e3;

function heatChart(state) {
  const { data, filter } = state;
  const run = data.runs[0];
  const heat = heatOf(data, run, filter);
  if (heat.low > heat.high) return null;
  const middles = percentilesOverTime(data, run, filter, [0.5], heat.width).columns[0];
  return {
    title: "How response times spread",
    note: `Shade: share of the requests ${data.closed ? "sent" : "due"} in windows of ${durationText(heat.width)}. Abandoned requests count at the time the customer left.`,
    x: heat.starts.map((start) => start + heat.width / 2),
    starts: heat.starts,
    series: [{ label: "p50", pen: "--c2", values: inMs(middles) }],
    unit: "ms",
    log: true,
    range: [bandMs(heat.low), bandMs(heat.high + 1)],
    height: 230,
    paint: (plot) => paintHeat(plot, heat),
    legend: heatLegend,
  };
}

const shade = (share) => 0.1 + 0.9 * Math.sqrt(share);

function paintHeat(plot, heat) {
  const { ctx, bbox } = plot;
  const colour = cssColour("--strong");
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = colour;
  heat.columns.forEach((column, at) => {
    const total = [...column.values()].reduce(sum, 0);
    const left = Math.round(plot.valToPos(heat.starts[at], "x", true));
    const right = Math.round(plot.valToPos(heat.starts[at] + heat.width, "x", true));
    for (const [band, n] of column) {
      const top = Math.round(plot.valToPos(bandMs(band + 1), "y", true));
      const bottom = Math.round(plot.valToPos(bandMs(band), "y", true));
      ctx.globalAlpha = shade(n / total);
      ctx.fillRect(left, top, right - left, bottom - top);
    }
  });
  ctx.restore();
}

function heatLegend() {
  const scale = element("span", { class: "shades" }, "share ");
  for (const share of [0.01, 0.1, 0.3, 1]) {
    const box = element("span", { class: "shade" });
    box.style.background = withAlpha(cssColour("--strong"), shade(share));
    scale.append(box, `${share * 100}\u00a0% `);
  }
  return scale;
}

const BANDS = [[0.05, 0.95, 0.18], [0.1, 0.9, 0.24], [0.25, 0.75, 0.4]];

function bandsChart(state) {
  const { data, filter } = state;
  const run = data.runs[0];
  const n = tallyOf(data, run, filter).n;
  if (!n) return null;
  const width = percentileWindow(data, n, filter);
  const shares = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];
  const found = percentilesOverTime(data, run, filter, shares, width);
  const column = (p) => inMs(found.columns[shares.indexOf(p)]);
  const isWhole = column(0.95).map((value) => value !== null); // where p95 is unknown, p5 would be a line without a band
  const edges = (p) => column(p).map((value, at) => (isWhole[at] ? value : null));
  const x = found.starts.map((start) => start + width / 2);
  const known = shares.flatMap(column).filter((value) => value !== null);
  if (!known.length) return null;
  return {
    title: "Percentile bands",
    note: `Around the median: a half, 80 % and 90 % of the requests of each window of ${durationText(width)}.`,
    x,
    starts: found.starts,
    range: [Math.min(...known) / 1.25, Math.max(...known) * 1.25],
    series: [{ label: "p50", pen: "--strong", values: column(0.5) },
      ...[0.05, 0.95].map((p) => ({ label: percentileName(p), pen: "--quiet", values: edges(p), points: false }))],
    unit: "ms",
    log: true,
    paint: (plot) => BANDS.forEach(([low, high, alpha]) => paintBand(plot, x, column(low), column(high), alpha)),
  };
}

function paintBand(plot, x, low, high, alpha, pen = "--strong") {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = cssColour(pen);
  ctx.globalAlpha = alpha;
  const place = (at, value) => [plot.valToPos(x[at], "x", true), plot.valToPos(value, "y", true)];
  for (let start = 0; start < x.length; start++) {
    if (low[start] === null || high[start] === null) continue;
    let end = start;
    while (end + 1 < x.length && low[end + 1] !== null && high[end + 1] !== null) end++;
    ctx.beginPath();
    for (let at = start; at <= end; at++) ctx.lineTo(...place(at, high[at]));
    for (let at = end; at >= start; at--) ctx.lineTo(...place(at, low[at]));
    ctx.fill();
    start = end;
  }
  ctx.restore();
}

const CURVE_STEP = 0.02;
const nines = (p) => -Math.log10(1 - p);

/** Percentiles on HdrHistogram's axis, of each run. */
function curveChart(state) {
  const { data, filter } = state;
  const tallies = data.runs.map((run) => tallyOf(data, run, run === data.runs[0] ? filter : { ...filter, from: 0, to: Infinity }));
  const most = Math.max(...tallies.map((tally) => tally.n));
  if (!most) return null;
  const last = Math.max(1, Math.log10(most / -Math.log(0.05)));
  const x = Array.from({ length: Math.floor(last / CURVE_STEP) + 1 }, (_, at) => at * CURVE_STEP).slice(1);
  const shares = x.map((place) => 1 - 10 ** -place);
  const pens = [["--ok", []], ["--planned", DASHES["--"]]];
  return {
    title: `Percentile curve of ${filterName(state)}`,
    note: ["Each step to the right leaves out nine tenths of what is left. The curve ends where there are too few requests.",
      data.runs.length > 1 && state.isZoomed ? "The baseline is always its whole run." : ""].join(" ").trim(),
    x,
    series: data.runs.map((run, at) => {
      const found = tallies[at].quantiles(shares);
      return { label: run.title, pen: pens[at][0], dash: pens[at][1], values: inMs(found), atLeast: areBounds(found), points: false };
    }),
    unit: "ms",
    log: true,
    height: 230,
    bounds: boundsFor(state, (data.thresholds || []).map((one) => one.p / 100)),
    axis: {
      name: "percentile",
      text: (place) => percentileName(Number((1 - 10 ** -place).toFixed(6))),
      range: [0, last],
      options: {
        splits: () => [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].map(nines).filter((place) => place <= last),
        values: (_, ticks) => ticks.map((place) => percentileName(Number((1 - 10 ** -place).toFixed(6)))),
      },
    },
  };
}
