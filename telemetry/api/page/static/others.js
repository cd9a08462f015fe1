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

/** The lines of other GPUs by metric: {metric: [{name, points}]}, and what is wrong with those that have none: {name: words}. */
export async function lines(others, metrics, from, to) {
  const troubles = {};
  const histories = await Promise.all(others.map(async (other) => {
    try {
      return await history(other, metrics, from, to, ["avg"]);
    } catch (problem) {
      // Of other trouble the page says it, and asks again.
      if (![400, 404, 422].includes(problem.status)) throw problem;
      troubles[other] = problem.status === 404 ? "no such GPU" : problem.message;
      return new Map();
    }
  }));
  const of = (metric) => others.map((name, number) => ({ name, points: histories[number].get(metric) ?? [] }));
  return { lines: Object.fromEntries(metrics.map((metric) => [metric, of(metric)])), troubles };
}

/** Say which line is whose, or what is wrong with it. `remove(name)` is called for one that the reader does not want any more. */
export function legend(own, others, remove, troubles = {}) {
  const list = at("lines");
  const key = JSON.stringify([own, others, troubles]);
  list.hidden = !others.length;
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...[own, ...others].map((name, number) => {
    const button = element("button", { type: "button", "aria-label": `Do not compare with ${name}` }, "×");
    button.addEventListener("click", () => remove(name));
    const link = element("a", { href: `/gpus/${encodeURIComponent(name)}` }, name);
    const shown = !number ? name : troubles[name] ? element("span", { class: "bad" }, `${name}: ${troubles[name]}`) : link;
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
