// What needs attention: the GPUs of a host that are so for the same reason share a row. The gravest come first.

import { at, element, fill } from "./draw.js";
import { ago, count, illness, number, state, stateClass } from "./words.js";

const GRAVITY = { faulty: 0, silent: 1, degraded: 2, well: 3, unknown: 4 };
const SHOWN = 10;

let isWhole = false;

// What was read last, and is drawn again once the reader wants all of it.
let last = null;

/** Draw the list. A well GPU is here for a note, such as an error of an application. */
export function drawAttention(looks, now) {
  last = [looks, now];
  const gravity = (gpu) => (illness(gpu) === "faulty" ? 0 : GRAVITY[gpu.state]);
  const some = looks.filter(({ reasons }) => reasons.length).sort((a, b) => gravity(a) - gravity(b));
  const groups = new Map();
  for (const gpu of some) {
    const key = JSON.stringify([gpu.host ?? gpu.id, state(gpu), why(gpu), gpu.reasons[0].action]);
    groups.set(key, [...(groups.get(key) ?? []), gpu]);
  }
  const rows = [...groups.values()];
  fill(at("attention"), (isWhole ? rows : rows.slice(0, SHOWN)).map((gpus) => row(gpus, now)),
    looks.length ? "Nothing: all GPUs report, and no rule tells of a fault." : "There are no readings yet.");
  const shown = isWhole ? some.length : rows.slice(0, SHOWN).flat().length;
  at("attention-count").textContent = some.length ? `${number(shown)} of ${count(some.length, "GPU")}` : "";
  const button = at("attention-whole");
  button.hidden = rows.length <= SHOWN;
  button.textContent = isWhole ? "Show the gravest" : "Show all";
}

function why({ reasons }) {
  return reasons.map(({ says, heuristic }) => (heuristic ? `${says} (a heuristic)` : says)).join("; ");
}

function row(gpus, now) {
  const [gpu] = gpus;
  const since = gpus.map(({ reasons }) => reasons[0].since).sort()[0];
  const name = gpus.length > 1
    ? element("span", {}, element("a", { href: `/hosts/${encodeURIComponent(gpu.host)}` }, gpu.host), `: ${count(gpus.length, "GPU")}`)
    : element("a", { href: `/gpus/${encodeURIComponent(gpu.id)}` }, gpu.name);
  return [name, element("span", { class: stateClass(gpu) }, state(gpu)), why(gpu), element("span", { class: "whole" }, ago(since, now)), gpu.reasons[0].action];
}

at("attention-whole").addEventListener("click", () => {
  isWhole = !isWhole;
  if (last) drawAttention(...last);
});
