// Elements and colours. Foreign text only ever becomes a text node.

function element(tag, attributes = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) found.addEventListener(name.slice(2), value);
    else if (value === true) found.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) found.setAttribute(name, value);
  }
  found.append(...children.filter((child) => child !== null && child !== undefined));
  return found;
}

/** A number with the exact value behind its text, for whoever reads the page by program. */
function number(text, exact) {
  return exact === null || exact === undefined ? element("span", {}, text) : element("data", { value: String(exact) }, text);
}

function cssColour(variable) {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

function withAlpha(hex, alpha) {
  const part = (at) => parseInt(hex.slice(at, at + 2), 16);
  return `rgba(${part(1)}, ${part(3)}, ${part(5)}, ${alpha})`;
}

const FONT = '12px Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const DASHES = { "-": [], "--": [6, 3], "-.": [7, 3, 2, 3], ":": [2, 3] };
