// Numbers as doorbuster.units and report.formatting write them: three significant digits, ties to even.

const UNKNOWN = "–";

/** The digits of |value| rounded half to even at `places` after the point: exact, on its decimal expansion. */
function fixed(value, places) {
  const exact = Math.abs(value).toFixed(60);
  const point = exact.indexOf(".");
  const cut = places ? point + 1 + places : point;
  const rest = exact.slice(cut).replace(".", "");
  let digits = exact.slice(0, cut).replace(".", "");
  const tie = /^50*$/.test(rest);
  if (rest[0] > "5" || (rest[0] === "5" && (!tie || Number(digits[digits.length - 1]) % 2))) {
    digits = String(BigInt(digits) + 1n).padStart(digits.length, "0");
  }
  const whole = digits.slice(0, digits.length - places) || "0";
  const text = places ? `${whole}.${digits.slice(digits.length - places)}` : whole;
  return value < 0 && Number(text) ? `-${text}` : text;
}

/** Python's "g": so many significant digits, without trailing zeros; for everyday sizes. */
function general(value, significant) {
  if (!value) return "0";
  for (let exponent = Math.floor(Math.log10(Math.abs(value))); ; exponent++) {
    const text = fixed(value, Math.max(0, significant - 1 - exponent));
    if (Math.abs(Number(text)) < 10 ** (exponent + 1) || exponent >= significant) {
      return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
    }
  }
}

function grouped(text) {
  const [whole, part] = text.split(".");
  const found = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return part === undefined ? found : `${found}.${part}`;
}

function durationText(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return UNKNOWN;
  if (seconds < 0) return `-${durationText(-seconds)}`;
  if (seconds < 0.9995) return seconds * 1e3 < 999.5 ? `${general(seconds * 1e3, 3)} ms` : "1 s";
  if (seconds < 60) return `${general(seconds, 3)} s`;
  const whole = Number(fixed(seconds, 0));
  const parts = [[Math.floor(whole / 3600), "h"], [Math.floor(whole / 60) % 60, "m"], [whole % 60, "s"]];
  return parts.map(([value, unit]) => (value ? `${value}${unit}` : "")).join("");
}

function msText(ms) {
  return ms === null || ms === undefined ? UNKNOWN : durationText(ms / 1000);
}

function countText(count) {
  if (count === null || count === undefined) return UNKNOWN;
  if (Number.isInteger(count)) return grouped(String(count));
  return grouped(Math.abs(count) < 100 ? fixed(count, 1) : String(Number(count.toPrecision(3))));
}

function shareText(ratio) {
  if (ratio === null || Number.isNaN(ratio)) return UNKNOWN;
  const percent = ratio * 100;
  let text = "";
  for (const places of [1, 2, 3]) {
    text = fixed(percent, places);
    if ((Number(text) !== 0 && Number(text) !== 100) || percent === 0 || percent === 100) break;
  }
  return `${percent === 0 || percent === 100 ? text.replace(".0", "") : text}\u00a0%`;
}

function clockText(seconds) {
  const whole = Number(fixed(seconds, 0));
  const two = (value) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (whole < 3600) return `${minutes}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** Seconds of "1:05", "1:02:03" or "65"; null for anything else. */
function clockSeconds(text) {
  if (!/^\d+(:\d{1,2}){0,2}$/.test(text.trim())) return null;
  return text.trim().split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

function rateText(perSecond) {
  if (perSecond === null || perSecond === undefined) return UNKNOWN;
  if (Number.isInteger(perSecond)) return `${grouped(fixed(perSecond, 0))}/s`;
  return `${Math.abs(perSecond) >= 1000 ? grouped(String(Number(perSecond.toPrecision(3)))) : general(perSecond, 3)}/s`;
}

/** Three significant digits without an exponent and with their zeros, as in shown_table.py: "0.640", "1.73". */
function threeDigits(value) {
  if (Math.abs(value) < 0.0005) return "0";
  const places = 2 - Math.floor(Math.log10(Math.abs(value)));
  return grouped(places >= 0 ? fixed(value, Math.min(places, 3)) : String(Number(value.toPrecision(3))));
}

const TIME_UNITS = [["s", 1000], ["ms", 1]];

/** The unit [name, ms] of a column whose times, in ms, would have different ones; null where they have one. */
function commonUnit(times) {
  const known = times.filter((ms) => ms);
  const units = new Set(known.map((ms) => msText(ms).split(" ").pop()));
  if (units.size < 2 || [...units].some((name) => /\d/.test(name))) return null;
  const least = Math.min(...known);
  return TIME_UNITS.find(([, ms]) => least / ms >= 0.01) || TIME_UNITS[1];
}

function percentileName(p) {
  return `p${general(p * 100, 6)}`;
}
