// Starts everything. Without this script, or in a browser that cannot unpack the data, the static figures stay.

function stepTable(host, state) {
  const by = element("select", { "aria-label": "Rows of the table", onchange: () => state.change({ by: by.value }) },
    ...Object.entries(groupNames(state.data)).map(([value, text]) => element("option", { value, selected: state.by === value }, `by ${text.toLowerCase()}`)));
  host.append(element("h3", {}, "Response times ", by));
  const table = new SortedTable(host, "Response times", { key: "Requests", falls: true });
  const note = element("p", { class: "note" });
  host.append(note);
  return () => {
    by.value = state.by;
    const found = stepRows(state);
    table.show(stepColumns(state, found), found.rows);
    const missing = found.shares.filter((p) => found.rows.some((row) => row.quantiles.get(p)?.us == null));
    note.textContent = missing.length ? `${UNKNOWN}: too few requests. ${missing.map((p) => `${percentileName(p)} needs ${countText(minimumN(p))}`).join(", ")}.` : "";
    table.host.hidden = !found.rows.length;
    if (!found.rows.length) note.textContent = `No request for ${filterName(state)}.`;
  };
}

function exemplarTable(isError) {
  return (host, state) => {
    const title = element("h3");
    host.append(title);
    const table = new SortedTable(host, isError ? "First errors" : "Slowest requests", { key: isError ? "Time" : "Took", falls: !isError });
    return () => {
      const rows = exemplarRows(state, isError);
      const shown = rows.slice(0, MOST_EXEMPLARS);
      const what = isError ? "First errors" : "Slowest requests";
      title.textContent = rows.length > shown.length ? `${what} (${shown.length} of ${rows.length} kept)` : what;
      title.hidden = !rows.length;
      table.host.hidden = !rows.length;
      if (shown.length) table.show(exemplarColumns(state, isError, shown), shown);
    };
  };
}

function funnelTable(host, state) {
  const box = element("div");
  host.append(box);
  return () => box.replaceChildren(...[funnel(state)].filter(Boolean));
}

/** A part of a panel is a function of its place and the state that returns how to show it anew. */
const chart = (spec) => (host, state) => {
  const found = new TimeChart(host, state, spec);
  return () => found.refresh();
};

const PANELS = {
  load: [chart(loadChart), chart(inShopChart)],
  outcomes: [chart(outcomeChart), funnelTable],
  latency: [chart(percentileChart), stepTable, chart(byStepChart), chart(heatChart), chart(bandsChart), chart(curveChart), chart(rateChart)],
  errors: [chart(errorChart), exemplarTable(true), exemplarTable(false)],
  timings: [chart(timingChart)],
  observed: Array.from({ length: MOST_OBSERVED }, (_, place) => chart(observedChart(place))),
  orders: [chart(orderChart)],
  health: ["cpu", "lag_ms", "pool_wait_ms"].map((name) => chart(healthChart(name))),
  compare: [chart(curveChart), stepTable],
};

function startPanels(state) {
  const refresh = [];
  for (const host of document.querySelectorAll("[data-panel]")) {
    const parts = host.dataset.figure ? [chart(sectionChart(host.dataset.figure))] : PANELS[host.dataset.panel];
    refresh.push(...parts.map((part) => part(host, state)));
    host.hidden = false;
    if (host.parentElement.hasAttribute("data-added")) host.parentElement.hidden = !(state.data.observed || []).length;
  }
  const all = () => refresh.forEach((draw) => draw());
  state.listen(all);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  all();
}

function scrollToAnchor() {
  const section = document.getElementById(anchorOf(location.hash));
  if (location.hash && section) section.scrollIntoView();
}

/** Print what is folded too; browsers other than Chromium print closed details without their content. */
function unfoldForPrint() {
  const folded = () => document.querySelectorAll("details.more:not([open]), details.scenario:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => { opened = [...folded()]; opened.forEach((one) => { one.open = true; }); });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
}

async function start() {
  const block = document.getElementById("run-data");
  if (!block || typeof DecompressionStream === "undefined") return;
  const [data] = await Promise.all([readPayload(block.textContent), document.fonts.load("12px Inter")]);
  const state = new State(data);
  document.documentElement.classList.add("interactive");
  state.read(location.hash);
  new Controls(document.getElementById("filters"), state);
  unfoldForPrint();
  startPanels(state);
  scrollToAnchor();
  addEventListener("hashchange", () => { state.read(location.hash); scrollToAnchor(); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (!link) return;
    event.preventDefault();
    history.pushState(null, "", `#${state.address(anchorOf(link.hash))}`);
    const section = document.getElementById(anchorOf(link.hash));
    section?.scrollIntoView();
    section?.focus?.({ preventScroll: true });
  });
  const nav = document.getElementById("contents");
  if (nav) followContents(nav);
  if (nav && matchMedia("(max-width: 46rem)").matches) nav.querySelector("details").open = false;
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  document.documentElement.classList.remove("interactive");
  document.documentElement.dataset.error = String(error);
});
