"use strict";
// Draws a snapshot (see snapshot.py). Texts of a run are only ever set as text, never as markup.

const at = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return node;
}
function draw(tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== "") node.textContent = text;
  return node;
}
function show(id, visible) { at(id).hidden = !visible; }

// ---- numbers, written as in the terminal

const digits = (value) => String(Number(value.toPrecision(3)));
const count = (value) => Math.round(value).toLocaleString("en-GB");
function duration(seconds) {
  if (seconds < 0.9995) return `${digits(seconds * 1e3)} ms`;
  if (seconds < 60) return `${digits(seconds)} s`;
  const whole = Math.round(seconds);
  const parts = [[Math.floor(whole / 3600), "h"], [Math.floor(whole / 60) % 60, "m"], [whole % 60, "s"]];
  return parts.filter(([value]) => value).map(([value, unit]) => `${value}${unit}`).join("");
}
function ratio(value) {
  const percent = value * 100;
  if (percent === 0 || percent === 100) return `${percent} %`;
  const texts = [1, 2, 3].map((places) => percent.toFixed(places));
  return `${texts.find((text) => ![0, 100].includes(Number(text))) ?? texts[2]} %`;
}
function shown(value, unit) {
  if (value === null) return "–";
  if (unit === "per_s") return `${value < 1000 ? digits(value) : count(value)}/s`;
  if (unit === "ratio") return ratio(value);
  return unit === "s" ? duration(value) : count(value);
}
const whole = (seconds) => (seconds < 0.5 ? "0 s" : duration(Math.round(seconds)));

// ---- parts of the page

const STATES = {
  running: "running", draining: "last customers leave", stopping: "stopping", finished: "finished",
  interrupted: "interrupted", aborted: "aborted",
};
const WORDS = { pass: "ok", fail: "FAIL", warn: "WARN", inconclusive: "unsure", open: "open" };

function head(page) {
  const run = page.run;
  const ended = page.step === "done" && !run ? "finished" : "starting";
  const state = page.step === "report" ? "writing the report" : run ? STATES[run.state] : ended;
  const speed = page.speed === null ? "" : `replay, ${digits(page.speed)} times as fast · `;
  at("title").textContent = page.title;
  at("state").textContent = state;
  at("state").className = `pill ${run && run.state === "running" ? "running" : run && run.state === "aborted" ? "failed" : ""}`;
  const percent = run && run.duration_s ? Math.min(100, (100 * run.at_s) / run.duration_s) : 0;
  document.title = `${run ? `${percent.toFixed(0)} % ` : ""}${page.title}`;
  if (!run) {
    at("clock").textContent = ended === "finished" ? "" : `${speed}the load generator and the shop are starting`;
    at("bar").replaceChildren();
    return;
  }
  const parts = run.state === "running"
    ? [run.phase, `${whole(run.at_s)} of ${duration(run.duration_s)}`, `${whole(run.left_s)} left`]
    : [`after ${whole(run.at_s)}`, run.reason];
  at("clock").textContent = `${speed}${parts.filter(Boolean).join(" · ")} · ${run.target}`;
  const spans = run.phases.length ? run.phases : [{ name: "", from_s: 0, to_s: run.duration_s }];
  at("bar").replaceChildren(...spans.map((span) => {
    const length = Math.max(1e-9, span.to_s - span.from_s);
    const done = Math.max(0, Math.min(1, (run.at_s - span.from_s) / length));
    const inner = make("i");
    inner.style.width = `${done * 100}%`;
    const outer = make("span", { title: span.name }, inner);
    outer.style.flex = String(length);
    return outer;
  }));
}

function sparkline(values, unit) {
  const top = unit === "ratio" ? 1 : Math.max(...values.map((value) => value ?? 0), 1e-12);
  let path = "", pen = "M";
  values.forEach((value, index) => {
    if (value === null) { pen = "M"; return; }
    path += `${pen}${index},${(10 - (9 * value) / top).toFixed(2)}`;
    pen = "L";
  });
  const svg = draw("svg", { viewBox: `0 0 ${values.length - 1} 10.5`, preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(draw("path", { d: path || "M0,10" }));
  return svg;
}

const over = (run) => ["finished", "interrupted", "aborted"].includes(run.state);

function figures(run) {
  at("figures").replaceChildren(...run.measures.map((one) => {
    const silent = one.name === "p95" && one.recent === null && run.silent_s >= 3;
    const whole_run = over(run) && one.unit !== "count";
    const text = silent ? `silent ${whole(run.silent_s)}` : shown(whole_run ? one.whole : one.recent, one.unit);
    const sized = one.unit === "ratio" || one.unit === "s" ? ` of ${count(one.whole_n)}` : "";
    const note = one.unit === "count" ? "now" : whole_run ? `whole run${sized}` : `whole run ${shown(one.whole, one.unit)}${sized}`;
    return make("div", { class: "figure" }, make("span", {}, one.name), make("b", silent ? { class: "fail" } : {}, text),
      make("small", {}, note), sparkline(one.spark, one.unit));
  }));
}

function nice(top) {
  if (top <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= top) * power;
}

function frame(host, run, top, label) {
  const width = Math.max(240, host.clientWidth), height = Math.max(80, host.clientHeight), left = 48, bottom = 18;
  const length = Math.max(run.duration_s, run.chart.planned.length * run.chart.width_s, 1);
  const x = (second) => left + ((width - left - 4) * second) / length;
  const y = (value) => 6 + (height - bottom - 6) * (1 - value / top);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  run.phases.forEach((phase, index) => {
    if (index % 2) svg.append(draw("rect", { class: "phase", x: x(phase.from_s), y: 0, width: Math.max(0, x(phase.to_s) - x(phase.from_s)), height: height - bottom }));
    if (x(phase.to_s) - x(phase.from_s) > 7 * phase.name.length) svg.append(draw("text", { x: x(phase.from_s) + 4, y: 12 }, phase.name));
  });
  for (const part of [0, 0.5, 1]) {
    svg.append(draw("line", { class: "grid", x1: left, x2: width - 4, y1: y(part * top), y2: y(part * top) }));
    svg.append(draw("text", { x: left - 6, y: y(part * top) + 4, "text-anchor": "end" }, label(part * top)));
  }
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  const step = steps.find((one) => (length / one) * 70 <= width - left) || length;
  for (let second = 0; second <= length; second += step) {
    const anchor = second === 0 ? "start" : x(second) > width - 20 ? "end" : "middle";
    svg.append(draw("text", { x: x(second), y: height - 4, "text-anchor": anchor }, second === 0 ? "0" : duration(second)));
  }
  return { svg, x, y, length };
}

function area(chart, lows, highs, width_s, { x, y }) {
  let up = "", down = "";
  highs.forEach((high, index) => {
    const from = x(index * width_s).toFixed(1), to = x((index + 1) * width_s).toFixed(1);
    up += `L${from},${y(high).toFixed(1)}L${to},${y(high).toFixed(1)}`;
    down = `L${to},${y(lows[index]).toFixed(1)}L${from},${y(lows[index]).toFixed(1)}${down}`;
  });
  return `M${up.slice(1)}${down}Z`;
}

let last = null, pointed = null;

function charts(run) {
  show("customers-chart", run.has_customers);
  show("times-chart", run.chart.p95_s.some((value) => value !== null));
  const chart = run.chart, width_s = chart.width_s;
  const until = Math.min(chart.served.length, Math.ceil(run.at_s / width_s) + (run.state === "running" ? 0 : 1));
  if (run.has_customers) {
    const sums = chart.served.map((_, index) => chart.served[index] + chart.lost[index] + chart.inside[index]);
    const top = nice(Math.max(...sums, ...chart.planned, 0.1));
    const made = frame(at("chart"), run, top, (value) => digits(value));
    const zero = chart.served.map(() => 0), both = chart.served.map((served, index) => served + chart.lost[index]);
    const cut = (values) => values.slice(0, until);
    for (const [name, lows, highs] of [["served", zero, chart.served], ["lost", chart.served, both], ["inside", both, sums]])
      if (until) made.svg.append(draw("path", { class: name, d: area(chart, cut(lows), cut(highs), width_s, made) }));
    const line = chart.planned.map((value, index) => `${made.x(index * width_s).toFixed(1)},${made.y(value).toFixed(1)} ${made.x((index + 1) * width_s).toFixed(1)},${made.y(value).toFixed(1)}`);
    if (line.length) made.svg.append(draw("polyline", { class: "planned", points: line.join(" ") }));
    if (run.state === "running") made.svg.append(draw("line", { class: "now", x1: made.x(run.at_s), x2: made.x(run.at_s), y1: 0, y2: made.y(0) }));
    const total = (values) => count(values.reduce((sum, value) => sum + value, 0) * width_s);
    made.svg.setAttribute("aria-label", `Customers so far: ${total(chart.served)} served, ${total(chart.lost)} lost, ${total(chart.inside)} in the shop`);
    at("chart").replaceChildren(made.svg);
    at("legend").replaceChildren(...[["served", "served"], ["lost", "lost"], ["inside", "still in the shop"], ["planned", "planned"]].map(
      ([name, text]) => make("span", {}, make("i", { class: name }), name === "planned" ? text : `${text} ${total(chart[name])}`)));
    readout(run);
  }
  if (at("times-chart").hidden) return;
  const times = chart.p95_s.map((value) => value ?? 0), top = nice(Math.max(...times, 1e-3));
  const made = frame(at("times"), run, top, (value) => (value ? duration(value) : "0"));
  let path = "", pen = "M";
  chart.p95_s.forEach((value, index) => {
    if (value === null) { pen = "M"; return; }
    path += `${pen}${made.x((index + 0.5) * width_s).toFixed(1)},${made.y(value).toFixed(1)}`;
    pen = "L";
  });
  if (path) made.svg.append(draw("path", { class: "time", d: path }));
  made.svg.setAttribute("aria-label", `95th percentile of response times, up to ${duration(Math.max(...times, 0))}`);
  at("times").replaceChildren(made.svg);
}

function readout(run) {
  const chart = run.chart, index = pointed === null ? -1 : Math.floor((pointed * run.duration_s) / chart.width_s);
  if (index < 0 || index >= chart.planned.length) { at("readout").textContent = ""; return; }
  const per_s = (values) => `${digits(values[index])}/s`;
  const time = chart.p95_s[index] === null ? "" : `, p95 ${duration(chart.p95_s[index])}`;
  at("readout").textContent = `at ${whole(index * chart.width_s)}: planned ${per_s(chart.planned)}, served ${per_s(chart.served)}, lost ${per_s(chart.lost)}${time}`;
}

function thresholds(run) {
  show("thresholds-part", run.thresholds.length);
  const order = ["fail", "warn", "inconclusive", "pass", "open"];
  const sorted = [...run.thresholds].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  at("thresholds").replaceChildren(...sorted.map((one) => make("li", {},
    make("span", { class: `word ${one.state}` }, WORDS[one.state]), make("code", {}, one.rule), make("b", { class: one.state }, one.value || "–"),
    make("small", {}, one.sentence))));
}

function channels(run) {
  show("channels-part", run.channels.length);
  const sorted = [...run.channels].sort((a, b) => b.started - a.started || a.name.localeCompare(b.name));
  at("channels").replaceChildren(...sorted.map((one) => {
    const all = Math.max(1, one.served + one.lost + one.in_shop);
    const bar = make("div", { class: "share", "aria-hidden": "true" }, ...["served", "lost", "inside"].map((name) => {
      const part = make("i", { class: name });
      part.style.width = `${(100 * (name === "inside" ? one.in_shop : one[name])) / all}%`;
      return part;
    }));
    const left = over(run) ? one.served + one.lost : one.recent_left;
    const lost = left ? (over(run) ? one.lost : one.recent_lost) / left : null;
    const kind = lost === null ? "none" : lost > 0.05 ? "bad" : "good";
    const order = one.wanted_order ? `${ratio(one.could_order / one.wanted_order)} could order` : "nobody wanted to order yet";
    const due = one.planned === null ? "" : ` of ${count(one.planned)} planned`;
    return make("div", { class: `tile ${kind}` }, make("strong", {}, one.name), bar,
      make("span", {}, `${count(one.served)} served, ${count(one.lost)} lost`), make("span", {}, order),
      make("span", {}, `${count(one.started)}${due} arrived, ${count(one.in_shop)} inside`),
      make("span", {}, lost === null ? "nobody has left lately" : `${over(run) ? "whole run" : "last 10 s"}: ${ratio(lost)} lost`));
  }));
}

function steps(run) {
  show("steps-part", run.steps.length);
  at("steps").replaceChildren(...run.steps.map((one) => {
    const lost = one.n ? (one.failed + one.abandoned) / one.n : 0;
    return make("tr", {}, make("td", {}, `${one.channel} ${one.step}`.trim()), make("td", {}, count(one.n)),
      make("td", { class: lost ? "fail" : "" }, ratio(lost)), make("td", {}, one.p95_s === null ? "–" : duration(one.p95_s)));
  }));
}

function generator(run) {
  const one = run.generator;
  show("generator-part", one.workers > 0 || run.events.length > 0 || !over(run)); // results of other tools have neither
  const parts = [
    one.workers ? (one.is_healthy ? "healthy" : "overloaded: its own limits may look like the shop's") : "no report yet",
    one.cpu_ratio === null ? "" : `CPU ${(one.cpu_ratio * 100).toFixed(0)} % of a core`,
    one.late_p99_s === null ? "" : `starts ${duration(one.late_p99_s)} late (p99)`,
    one.dropped ? `${count(one.dropped)} customers dropped` : "",
    one.workers > 1 ? `${one.workers} workers` : "",
  ];
  at("generator").textContent = parts.filter(Boolean).join(", ");
  at("generator").className = one.is_healthy ? "" : "fail";
  show("events-head", run.events.length);
  at("events").replaceChildren(...run.events.map((one) => make("li", {}, `${whole(one.at_s)}: ${one.text || one.kind}`)));
}

function series(page) {
  const one = page.series;
  show("series", one !== null);
  if (!one) return;
  const stages = make("ul", { class: "stages" }, ...one.stages.map((stage) => make("li", {},
    make("b", { class: stage.state }, stage.state === "running" ? "now" : stage.state), make("span", {}, stage.label), make("small", {}, stage.text))));
  at("series").replaceChildren(make("h2", {}, one.title), make("p", {}, one.sentence), bracket(one), stages);
}

function bracket(one) {
  const rated = one.stages.filter((stage) => stage.rate_per_s);
  if (rated.length < 1) return "";
  const rates = [...rated.map((stage) => stage.rate_per_s), one.low_per_s, one.high_per_s].filter(Boolean);
  const low = Math.log(Math.min(...rates) / 1.2), high = Math.log(Math.max(...rates) * 1.2);
  const x = (rate) => 10 + (980 * (Math.log(rate) - low)) / (high - low);
  const svg = draw("svg", { viewBox: "0 0 1000 70", role: "img", "aria-label": one.sentence });
  if (one.low_per_s || one.high_per_s) {
    const from = one.low_per_s ? x(one.low_per_s) : 0, to = one.high_per_s ? x(one.high_per_s) : 1000;
    svg.append(draw("rect", { class: "phase", x: from, y: 4, width: Math.max(2, to - from), height: 40 }));
  }
  svg.append(draw("line", { class: "grid", x1: 0, x2: 1000, y1: 24, y2: 24 }));
  for (const stage of rated) {
    const kind = { pass: "served", fail: "lost" }[stage.state] || "inside";
    const mark = stage.state === "fail"
      ? draw("rect", { class: kind, x: x(stage.rate_per_s) - 6, y: 18, width: 12, height: 12 })
      : draw("circle", { class: kind, cx: x(stage.rate_per_s), cy: 24, r: 7 });
    mark.append(draw("title", {}, `${stage.label}: ${stage.state}`));
    svg.append(mark);
  }
  for (const [rate, anchor] of [[Math.min(...rates), "start"], [Math.max(...rates), "end"]])
    svg.append(draw("text", { x: x(rate), y: 64, "text-anchor": anchor }, `${digits(rate)}/s`));
  const host = make("div", { class: "chart" }, svg);
  host.style.height = "5rem";
  return host;
}

function verdict(page) {
  const one = page.verdict;
  show("verdict", one !== null);
  if (!one) return;
  at("verdict").className = one.state;
  at("verdict").replaceChildren(make("strong", {}, one.sentence),
    make("ul", {}, ...one.reasons.map((reason) => make("li", {}, reason))), make("p", { class: "open" }, one.folder));
}

let reportShown = false;
function report(page) {
  show("report-part", page.has_report);
  if (!page.has_report) { reportShown = false; at("report").replaceChildren(); return; }
  if (reportShown || at("tabs").hidden === false) return;
  reportShown = true; // loaded at once: the server ends with the command
  show("report-link", false);
  at("report").replaceChildren(make("iframe", { src: "report", sandbox: "allow-scripts allow-popups", title: "Report" }));
}

const RUN_PARTS = ["customers-chart", "times-chart", "thresholds-part", "channels-part", "steps-part", "generator-part"];

function render(page) {
  last = page;
  head(page);
  show("message", page.message !== "");
  at("message").textContent = page.message;
  series(page);
  verdict(page);
  report(page);
  show("figures", page.run !== null);
  if (!page.run) {
    for (const id of RUN_PARTS) show(id, false);
    return;
  }
  for (const part of [figures, charts, thresholds, channels, steps, generator]) part(page.run);
}

// ---- the stream

show("tabs", location.pathname.endsWith("/peak/"));
// A browser opens at most six connections to a server, so that the seventh tab would wait for ever: only a page
// that somebody sees holds one.
let stream = null;
function listen() {
  if (stream || document.hidden) return;
  stream = new EventSource("events");
  stream.onmessage = (event) => {
    const page = JSON.parse(event.data);
    render(page);
    document.documentElement.dataset.step = page.step;
    if (page.step === "done" && at("tabs").hidden) leave();
  };
  stream.onerror = () => {
    if (last && last.step === "done") return;
    show("message", true);
    at("message").textContent = "The connection is lost; this is the last state. The page reconnects by itself.";
    if (stream && stream.readyState === EventSource.CLOSED) {
      leave();
      setTimeout(listen, 3000);
    }
  };
}
function leave() {
  if (stream) stream.close();
  stream = null;
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) leave();
  else if (!(last && last.step === "done" && at("tabs").hidden)) listen();
});
addEventListener("resize", () => last && last.run && charts(last.run));
at("chart").addEventListener("pointermove", (event) => {
  const box = at("chart").getBoundingClientRect();
  pointed = (event.clientX - box.left - 48) / (box.width - 52);
  if (last && last.run) readout(last.run);
});
at("chart").addEventListener("pointerleave", () => { pointed = null; at("readout").textContent = ""; });
listen();
