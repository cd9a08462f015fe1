// The GPUs that one is compared with: which, their lines, and how the reader adds and removes them.

import { all } from "./api.js";
import { lineClass } from "./chart.js";
import { at, element } from "./draw.js";
import { history } from "./history.js";

// As many as there are colours and dashes beside those of the GPU itself.
export const MOST = 7;

/** The names in a text with commas between them. */
export function names(text) {
  return [...new Set(text.split(",").filter(Boolean))].slice(0, MOST);
}

/** The lines of other GPUs by metric: {metric: [{name, points}]}. */
export async function lines(others, metrics, from, to) {
  const histories = await Promise.all(others.map((other) => history(other, metrics, from, to, ["avg"])));
  return Object.fromEntries(metrics.map((metric) => [metric, others.map((name, number) => ({ name, points: histories[number].get(metric) }))]));
}

/** Say which line is whose. `remove(name)` is called for one that the reader does not want any more. */
export function legend(own, others, remove) {
  const list = at("lines");
  const key = [own, ...others].join();
  list.hidden = !others.length;
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...[own, ...others].map((name, number) => {
    const button = element("button", { type: "button", "aria-label": `Do not compare with ${name}` }, "×");
    button.addEventListener("click", () => remove(name));
    const shown = number ? element("a", { href: `/gpus/${encodeURIComponent(name)}` }, name) : name;
    return element("li", { class: lineClass(number) }, shown, " ", number ? button : null);
  }));
}

/** Offer all GPUs once the field has the focus. `add(name)` is called with what was chosen. */
export function offer(field, add) {
  field.addEventListener("focus", async () => {
    const { items } = await all("/api/v1/gpus").catch(() => ({ items: [] }));
    at("gpus").replaceChildren(...items.map(({ id, host, index }) => element("option", { value: host === null || index === null ? id : `${host}:${index}` })));
  }, { once: true });
  field.addEventListener("change", () => {
    if (field.value) add(field.value.trim());
    field.value = "";
  });
}
