// What is shown: filter, times and percentile, kept in the address after "#", behind the section's anchor:
// #latency?channel=web&step=checkout&from=30&to=75&p=99.9

const FILTERS = ["channel", "journey", "step", "outcome"];
const OUTCOMES = ["answered", "failed", "abandoned"];

class State {
  #listeners = [];

  constructor(data) {
    this.data = data;
    this.end = data.width_s ? data.buckets * data.width_s : 1;
    this.clear();
  }

  clear() {
    for (const name of FILTERS) this[name] = null;
    this.from = 0;
    this.to = this.end;
    this.p = 0.95;
    this.by = "step";
  }

  get filter() {
    const { channel, journey, step, outcome, from, to } = this;
    return { channel, journey, step, outcome, from, to };
  }

  get isZoomed() {
    return this.from > 0 || this.to < this.end;
  }

  get isFiltered() {
    return this.isZoomed || FILTERS.some((name) => this[name] !== null);
  }

  listen(use) {
    this.#listeners.push(use);
  }

  change(values, { write = true } = {}) {
    Object.assign(this, values);
    const width = this.data.width_s || 1;
    this.from = Math.min(Math.max(0, Math.round(this.from / width) * width), this.end - width);
    this.to = Math.min(Math.max(this.from + width, Math.round(this.to / width) * width), this.end);
    if (write) history.replaceState(null, "", `#${this.address(anchorOf(location.hash))}`);
    for (const use of this.#listeners) use(this);
  }

  reset() {
    const by = this.by;
    this.clear();
    this.change({ by });
  }

  address(anchor) {
    const parts = new URLSearchParams();
    for (const name of FILTERS) {
      if (this[name] !== null) parts.set(name, name === "outcome" ? OUTCOMES[this[name]] : this.data.names[this[name]]);
    }
    if (this.from > 0) parts.set("from", this.from);
    if (this.to < this.end) parts.set("to", this.to);
    if (this.p !== 0.95) parts.set("p", general(this.p * 100, 8));
    if (this.by !== "step") parts.set("by", this.by);
    const text = parts.toString();
    return text ? `${anchor}?${text}` : anchor;
  }

  /** Take what an address says; what it does not say, or what this run does not have, is all. */
  read(hash) {
    const parts = new URLSearchParams(hash.split("?")[1] || "");
    this.clear();
    const values = {};
    for (const name of FILTERS) {
      const text = parts.get(name);
      if (text === null) continue;
      const number = name === "outcome" ? OUTCOMES.indexOf(text) : this.data.names.indexOf(text);
      const known = this.data.runs.some((run) => run.series.some((series) => series[name] === number));
      if (number >= 0 && known) values[name] = number;
    }
    for (const name of ["from", "to"]) {
      const number = Number(parts.get(name) || NaN);
      if (Number.isFinite(number)) values[name] = number;
    }
    const p = shareOf(parts.get("p") || "");
    if (p !== null) values.p = p;
    if (["channel", "journey"].includes(parts.get("by"))) values.by = parts.get("by");
    this.change(values, { write: false });
  }
}

function anchorOf(hash) {
  return hash.replace(/^#/, "").split("?")[0];
}

/** The share of a percentage such as "99.9"; null unless above 0 and below 100. */
function shareOf(text) {
  const percent = Number(text.trim().replace(/^p/i, "").replace(",", ".") || NaN);
  return percent > 0 && percent < 100 ? percent / 100 : null;
}
