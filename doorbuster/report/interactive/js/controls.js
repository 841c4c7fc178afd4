// The bar that filters the page: selects, times, percentile, reset.

function select(name, title, options, chosen, use) {
  const box = element("select", { "aria-label": title, name, onchange: () => use(box.value === "" ? null : Number(box.value)) },
    element("option", { value: "" }, `all ${title.toLowerCase()}s`), ...options.map(([value, text]) => element("option", { value: String(value), selected: value === chosen }, text)));
  return box;
}

class Controls {
  constructor(host, state) {
    this.host = host;
    this.state = state;
    this.form = element("form", { class: "filters", "aria-label": "Filter of the charts and tables", onsubmit: (event) => event.preventDefault() });
    this.summary = element("summary");
    const wide = matchMedia("(min-width: 46.01rem)");
    this.box = element("details", { open: wide.matches }, this.summary, this.form);
    wide.addEventListener("change", () => { this.box.open = wide.matches; });
    host.append(this.box);
    host.append(element("p", { class: "note whole-run" }, "Sentences, thresholds and details are of the whole run."));
    this.status = element("p", { class: "spoken", role: "status" });
    host.append(this.status);
    state.listen(() => this.draw());
    this.draw();
  }

  draw() {
    const { state } = this;
    const { data } = state;
    const focused = document.activeElement?.name;
    const named = groupNames(data);
    const fields = ["channel", "journey", "step"].map((name) => {
      const known = [...new Set(data.runs.flatMap((run) => run.series.map((series) => series[name])))].sort((a, b) => (nameOf(data, a) < nameOf(data, b) ? -1 : 1));
      return known.length > 1 ? select(name, named[name], known.map((value) => [value, nameOf(data, value)]), state[name], (value) => state.change({ [name]: value })) : null;
    });
    const ends = [...new Set(data.runs.flatMap((run) => run.series.map((series) => series.outcome)))].sort();
    if (ends.length > 1) fields.push(select("outcome", "Outcome", ends.map((value) => [value, OUTCOMES[value]]), state.outcome, (value) => state.change({ outcome: value })));
    if (data.width_s) fields.push(...this.#times());
    fields.push(element("label", {}, "percentile", element("input", {
      name: "p", type: "text", inputmode: "decimal", size: "5", "aria-label": "Percentile, such as 99.9", value: general(state.p * 100, 8),
      onchange: (event) => {
        const p = shareOf(event.target.value);
        if (p === null) this.#wrong(event.target, "a percentile above 0 and below 100, such as 99.9");
        else state.change({ p });
      },
    })));
    fields.push(element("button", { type: "button", name: "reset", disabled: !this.#isChanged(), onclick: () => state.reset() }, "Reset"));
    this.form.replaceChildren(...fields.filter(Boolean));
    if (focused) this.form.querySelector(`[name="${focused}"]`)?.focus();
    const time = state.isZoomed ? `${clockText(state.from)} to ${clockText(state.to)}` : "whole run";
    this.summary.textContent = [filterName(state), data.width_s ? time : null, percentileName(state.p)].filter(Boolean).join(" · ");
    document.documentElement.classList.toggle("filtered", state.isFiltered);
    this.status.textContent = `Shown: ${this.summary.textContent}`;
  }

  #isChanged() {
    const { state } = this;
    return state.isFiltered || state.p !== 0.95;
  }

  #times() {
    const { state } = this;
    const { phases } = state.data;
    const width = state.data.width_s;
    const snap = (second) => Math.round(second / width) * width;
    const chosen = !state.isZoomed ? null : phases.findIndex(([, from, to]) => snap(from) === state.from && Math.min(snap(to), state.end) === state.to);
    const found = [];
    if (phases.length) {
      found.push(select("phase", "Phase", phases.map(([name, from], at) => [at, `${name}, from ${clockText(from)}`]), chosen,
        (at) => state.change(at === null ? { from: 0, to: state.end } : { from: phases[at][1], to: phases[at][2] })));
    }
    for (const [name, title] of [["from", "From, minutes:seconds"], ["to", "To, minutes:seconds"]]) {
      found.push(element("label", {}, name, element("input", {
        name, type: "text", size: "6", "aria-label": title, value: clockText(state[name]),
        onchange: (event) => {
          const second = clockSeconds(event.target.value);
          if (second === null) this.#wrong(event.target, "a time since the start, such as 1:05");
          else state.change({ [name]: second });
        },
      })));
    }
    return found;
  }

  #wrong(input, text) {
    input.setCustomValidity(`Give ${text}.`);
    input.reportValidity();
    input.addEventListener("input", () => input.setCustomValidity(""), { once: true });
  }
}

/** Marks the section in view in the table of contents. */
function followContents(nav) {
  const links = new Map([...nav.querySelectorAll("a")].map((link) => [anchorOf(link.hash), link]));
  const seen = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) seen[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const first = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) {
      if (id === first) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-20% 0px -60% 0px" });
  for (const id of links.keys()) {
    const section = document.getElementById(id);
    if (section) observer.observe(section);
  }
}
