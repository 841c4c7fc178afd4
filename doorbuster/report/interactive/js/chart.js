// Charts over the time of the run, all on one axis: dragging selects a time for the whole page, the cursor
// is shared, a double click shows the whole run again.

const SYNC = "run";
const LEFT_PX = 64;
const RIGHT_PX = 14;
const MARK_ROW_PX = 13;
const MARK_FONT_PX = 11;
const MOST_MARK_ROWS = 3;
const charts = new Set();

const whenIdle = window.requestIdleCallback ? (use) => requestIdleCallback(use) : (use) => setTimeout(use, 50);

class TimeChart {
  /**
   * spec(state) -> { title, note, x, series: [{ label, values, pen, fill, dash }], unit, log, step, bounds, paint,
   * top } or null when there is nothing to show.
   */
  constructor(host, state, spec, { height = 190 } = {}) {
    this.host = host;
    this.state = state;
    this.spec = spec;
    this.height = height;
    this.hidden = new Set();
    this.caption = element("figcaption");
    this.legend = element("div", { class: "legend" });
    this.canvas = element("div", { class: "canvas" });
    this.note = element("p", { class: "note" });
    this.table = element("details", { class: "numbers", ontoggle: () => this.#fillTable() }, element("summary", {}, "Numbers"));
    this.figure = element("figure", { class: "chart" }, this.caption, this.legend, this.canvas, this.note, this.table);
    host.append(this.figure);
    charts.add(this);
    this.stale = true;
    this.seen = false;
    new IntersectionObserver((entries) => {
      this.seen = entries.some((entry) => entry.isIntersecting);
      if (this.seen && this.stale) this.draw();
    }, { rootMargin: "300px" }).observe(this.figure);
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
  }

  /** Draw again: at once when it is seen, else when there is time. */
  refresh() {
    this.stale = true;
    this.figure.setAttribute("aria-busy", "true");
    if (this.seen) this.draw();
    else whenIdle(() => { if (this.stale) this.draw(); });
  }

  draw() {
    this.stale = false;
    this.figure.setAttribute("aria-busy", "false");
    const shown = this.spec(this.state);
    this.figure.hidden = !shown;
    this.shown = shown;
    if (!shown) return;
    if (shown.stack) stack(shown.series, this.hidden);
    this.caption.textContent = shown.title;
    this.caption.classList.toggle("spoken", Boolean(shown.isSaid));
    this.note.textContent = shown.note || "";
    this.note.hidden = !shown.note;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${shown.title}. ${this.#summary()}`);
    this.plot?.destroy();
    this.canvas.replaceChildren();
    this.#legend();
    const width = this.canvas.clientWidth;
    if (!width) { this.stale = true; return; }
    this.marks = this.#placeMarks(width);
    this.plot = new uPlot(this.#options(width), [shown.x, ...shown.series.map((one) => one.drawn || one.values)], this.canvas);
    this.#fillTable();
  }

  get #markRows() {
    return Math.max(0, ...this.marks.map((mark) => mark.row + 1));
  }

  get isTime() {
    return !this.shown.axis;
  }

  #summary() {
    return this.shown.series.filter((one) => !one.silent).map((one) => {
      const known = one.values.filter((value) => value !== null && value !== undefined);
      if (!known.length) return `${one.label}: no values`;
      const text = (value) => textOf(value, this.shown.unit);
      return `${one.label}: ${text(Math.min(...known))} to ${text(Math.max(...known))}`;
    }).join("; ");
  }

  #legend() {
    this.values = this.shown.series.map(() => element("span", { class: "value" }));
    this.legend.replaceChildren(...this.shown.series.map((one, at) => one.silent ? "" : element(
      "button",
      { type: "button", "aria-pressed": String(!this.hidden.has(one.label)), title: "Show or hide", onclick: () => this.#toggle(at) },
      this.#key(one), one.label, this.values[at],
    )));
    if (this.shown.legend) this.legend.append(this.shown.legend());
  }

  #key(one) {
    const key = element("canvas", { class: "key", width: 36, height: 20, "aria-hidden": "true" });
    const draw = key.getContext("2d");
    draw.scale(2, 2);
    draw.fillStyle = draw.strokeStyle = cssColour(one.pen);
    if (one.fill) draw.fillRect(0, 1, 18, 8);
    else {
      draw.lineWidth = 2;
      draw.setLineDash(one.dash || []);
      draw.beginPath();
      draw.moveTo(0, 5);
      draw.lineTo(18, 5);
      draw.stroke();
    }
    return key;
  }

  #toggle(at) {
    const label = this.shown.series[at].label;
    if (!this.hidden.delete(label)) this.hidden.add(label);
    this.legend.querySelectorAll("button")[this.shown.series.slice(0, at).filter((one) => !one.silent).length]
      .setAttribute("aria-pressed", String(!this.hidden.has(label)));
    if (this.shown.stack) this.draw();
    else this.plot.setSeries(at + 1, { show: !this.hidden.has(label) });
  }

  #options(width) {
    const { shown, state } = this;
    const soft = cssColour("--soft");
    const grid = { stroke: cssColour("--rule"), width: 1 };
    const axis = { stroke: soft, font: FONT, ticks: { show: false }, grid };
    const bounds = (shown.bounds || []).map((bound) => bound.at);
    return {
      width,
      height: (shown.height || this.height) + this.#markRows * MARK_ROW_PX,
      padding: [8 + this.#markRows * MARK_ROW_PX, RIGHT_PX, 0, 0],
      legend: { show: false },
      cursor: {
        sync: this.isTime ? { key: SYNC, setSeries: false } : undefined,
        drag: { x: this.isTime, y: false, setScale: false },
        points: { size: 6 },
        bind: { dblclick: () => () => { state.change({ from: 0, to: state.end }); return null; } },
      },
      select: { show: this.isTime },
      scales: {
        x: { time: false, range: this.isTime ? [state.from, state.to] : shown.axis.range },
        y: shown.log
          ? { distr: 3, range: shown.range || ((_, low, high) => roundLimits(low, high, bounds)) }
          : { range: shown.range || ((_, low, high) => [Math.min(0, low || 0), shown.top ?? (high > 0 ? high * 1.06 : 1)]) },
      },
      axes: [
        this.isTime
          ? { ...axis, size: 26, incrs: [...BUCKETS_S, 21600, 43200, 86400], space: 70, grid: { show: false },
            values: (_, ticks) => ticks.map(clockText) }
          : { ...axis, size: 26, ...shown.axis.options },
        { ...axis, size: LEFT_PX, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : axisText(tick, shown.unit))),
          ...(shown.log ? { splits: (plot) => logSplits(plot.scales.y.min, plot.scales.y.max), filter: (_, splits) => splits } : {}) },
      ],
      series: [{}, ...shown.series.map((one) => this.#series(one))],
      hooks: {
        setSelect: [(plot) => this.#select(plot)],
        setCursor: [(plot) => this.#readings(plot)],
        drawClear: shown.paint ? [(plot) => shown.paint(plot)] : [],
        draw: [(plot) => this.#marks(plot)],
      },
    };
  }

  #series(one) {
    const colour = cssColour(one.pen);
    return {
      label: one.label,
      show: !this.hidden.has(one.label),
      stroke: one.fill ? undefined : colour,
      fill: one.fill ? colour : undefined,
      width: one.silent ? 0 : one.fill ? 0 : 1.8,
      dash: one.dash,
      points: { show: one.points ?? (one.fill ? false : undefined), size: 4, fill: colour },
      paths: this.shown.step ? uPlot.paths.stepped({ align: 1 }) : undefined,
      spanGaps: false,
    };
  }

  #select(plot) {
    if (!this.isTime || plot.select.width < 4) return;
    const from = plot.posToVal(plot.select.left, "x");
    const to = plot.posToVal(plot.select.left + plot.select.width, "x");
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    // Afterwards: the state draws this chart anew, which uPlot does not expect inside of its own event.
    setTimeout(() => this.state.change({ from, to }));
  }

  #readings(plot) {
    const at = plot.cursor.idx;
    this.shown.series.forEach((one, place) => {
      const value = at === null || at === undefined ? null : one.values[at];
      this.values[place].textContent = value === null || value === undefined ? "" : cellText(one, at, this.shown.unit);
    });
  }

  /** Lines for thresholds and moments, with their labels. */
  #marks(plot) {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = cssColour("--text");
    ctx.font = FONT.replace("12px", `${MARK_FONT_PX * ratio}px`);
    ctx.lineWidth = ratio;
    for (const bound of this.shown.bounds || []) {
      const y = Math.round(plot.valToPos(bound.at, "y", true));
      if (!(y > bbox.top && y < bbox.top + bbox.height)) continue;
      line(ctx, [bbox.left, y], [bbox.left + bbox.width, y], [6 * ratio, 3 * ratio]);
      const isHigh = y - bbox.top < 2 * MARK_FONT_PX * ratio; // where labels of moments, or the top line, would cross it
      label(ctx, bound.label, bbox.left + bbox.width - 4 * ratio, y + (isHigh ? MARK_FONT_PX + 2 : -4) * ratio, "right");
    }
    for (const mark of this.marks) this.#mark(plot, mark);
    ctx.restore();
  }

  /** Phases and moments in the picture: each with the first row above the plot where its label covers no other. */
  #placeMarks(width) {
    if (!this.isTime) return [];
    const { state, shown } = this;
    const { phases = [], moments = [] } = state.data;
    const ctx = element("canvas").getContext("2d");
    ctx.font = FONT.replace("12px", `${MARK_FONT_PX}px`);
    const right = width - RIGHT_PX;
    const common = [...moments, ...phases.filter(([, from]) => from > 0).map(([name, from]) => [from, name])];
    const own = (shown.moments || []).filter(([at, text]) => !common.some((one) => one[1] === text && Math.abs(one[0] - at) < 1));
    const ends = [];
    return [...common, ...own].sort((a, b) => a[0] - b[0]).filter(([at]) => at >= state.from && at <= state.to).map(([at, text]) => {
      const x = LEFT_PX + ((at - state.from) / (state.to - state.from)) * (right - LEFT_PX);
      const length = ctx.measureText(text).width + 8;
      const late = x + length > right;
      const left = late ? x - length : x;
      let row = ends.findIndex((end) => end <= left);
      if (row < 0) row = ends.length;
      if (row < MOST_MARK_ROWS) ends[row] = left + length;
      else row = -1; // a line without a label
      return { at, text, late, row };
    });
  }

  #mark(plot, { at, text, late, row }) {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    const x = Math.round(plot.valToPos(at, "x", true));
    const top = bbox.top - Math.max(0, row + 1) * MARK_ROW_PX * ratio;
    line(ctx, [x, top], [x, bbox.top + bbox.height], [2 * ratio, 3 * ratio]);
    if (row >= 0) label(ctx, text, x + (late ? -4 : 4) * ratio, top + (MARK_FONT_PX - 1) * ratio, late ? "right" : "left");
  }

  #resize() {
    const width = this.canvas.clientWidth;
    if (this.plot && width && width !== this.plot.width) this.draw();
    else if (this.stale && width && this.seen) this.draw();
  }

  #fillTable() {
    if (!this.table.open || !this.shown) return;
    const { x, starts = x, series, unit, axis } = this.shown;
    const named = series.filter((one) => !one.silent);
    const head = [axis ? axis.name : "from", ...named.map((one) => one.label)];
    const rows = x.slice(0, 400).map((value, at) => [axis ? axis.text(value) : clockText(starts[at]),
      ...named.map((one) => cellText(one, at, unit) + bandText(one, at, unit))]);
    this.table.replaceChildren(this.table.firstChild, plainTable(head, rows, this.shown.title));
  }
}

/** Limits of a logarithmic axis around the values, and around a bound that is not far off. */
function roundLimits(low, high, bounds) {
  if (low === null || low === undefined) return [1, 1000];
  const near = bounds.filter((bound) => bound > low / 4 && bound < high * 4);
  return [Math.max(Math.min(low, ...near), 1e-3) / 1.25, Math.max(high, ...near) * 1.25];
}

/** 1, 2 and 5 times the powers of ten within the limits; only powers where these are too many, more where too few. */
function logSplits(low, high) {
  const splits = (digits) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
      found.push(...digits.map((digit) => Number(`${digit}e${power}`)).filter((value) => value >= low && value <= high));
    }
    return found;
  };
  const found = splits([1, 2, 5]);
  if (found.length > 8) return splits([1]);
  return found.length < 3 ? splits([1, 1.5, 2, 3, 4, 5, 6, 8]) : found;
}

function line(ctx, from, to, dash) {
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
}

function label(ctx, text, x, y, align) {
  ctx.textAlign = align;
  ctx.setLineDash([]);
  ctx.save();
  ctx.strokeStyle = cssColour("--paper");
  ctx.lineWidth *= 4;
  ctx.lineJoin = "round";
  ctx.strokeText(text, x, y);
  ctx.restore();
  ctx.fillText(text, x, y);
}

function bandText({ low, high }, at, unit) {
  if (!low || (low[at] === null && high[at] === null)) return "";
  return ` (${[low[at], high[at]].map((end) => (end === null ? "?" : textOf(end, unit))).join(" to ")})`;
}

const TEXTS = { ms: msText, s: durationText, count: countText, ratio: shareText, per_s: rateText };

function textOf(value, unit) {
  return (TEXTS[unit] || countText)(value);
}

function cellText(series, at, unit) {
  const value = series.values[at];
  if (value === null || value === undefined) return UNKNOWN;
  return `${series.atLeast?.[at] ? "≥ " : ""}${textOf(value, unit)}`;
}

function axisText(value, unit) {
  if (unit === "ratio") return `${general(value * 100, 3)}\u00a0%`;
  if (unit === "ms" || unit === "s") return value === 0 ? "0" : textOf(value, unit);
  return value >= 1000 ? grouped(general(value, 6)) : general(value, 3);
}

/** What is drawn of values on top of one another, without hidden ones; the values stay their own. */
function stack(series, hidden) {
  const below = [];
  for (const one of series) {
    one.fill = true;
    if (hidden.has(one.label)) one.drawn = one.values.map(() => null);
    else one.drawn = one.values.map((value, at) => (below[at] = (below[at] || 0) + (value || 0)));
  }
  return series.reverse(); // the tallest is drawn first, the others over it
}
