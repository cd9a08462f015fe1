// The page of events: what happened to the GPUs, the latest first, and on as it happens.

import { all, get } from "./api.js";
import { at, element, fill } from "./draw.js";
import { repeat, watchHealth } from "./pulse.js";
import { choices, choose } from "./view.js";
import { line, number } from "./words.js";

const USUAL = { since: "-1d", kind: "", host: "", gpu: "", text: "" };
// What the API filters by; it is asked once such a field is left, not at each key.
const ASKED = ["kind", "host", "gpu"];
const READ_MS = 5000;
const MOST = 1000;

const form = at("filters");
let chosen = choices(USUAL);
let events = [];

async function learn() {
  const { items } = await all("/api/v1/hosts");
  const names = items.map(({ name }) => name);
  if (chosen.host && !names.includes(chosen.host)) names.unshift(chosen.host);
  form.host.replaceChildren(element("option", { value: "" }, "all"), ...names.map((name) => element("option", {}, name)));
  offer();
}

function offer() {
  for (const [name, value] of Object.entries(chosen)) if (form[name]) form[name].value = value;
}

function draw() {
  const words = chosen.text.toLowerCase().split(/\s+/);
  const rows = events.map((event) => {
    const name = event.host === null || event.index === null ? event.gpu : `${event.host}:${event.index}`;
    return { event, cells: [name, ...line(event)] };
  }).filter(({ cells, event }) => words.every((word) => [...cells, event.gpu].join(" ").toLowerCase().includes(word)));
  fill(at("events"), rows.map(({ event, cells: [name, ...rest] }) => [
    element("a", { href: `/gpus/${encodeURIComponent(event.gpu)}` }, name), ...rest,
  ]), "Nothing in this time.");
  at("events-count").textContent = `${number(rows.length)}${events.length === MOST ? ", the latest" : ""}`;
}

async function read() {
  if (form.host.options.length === 1) await learn();
  const asked = [["start_time", chosen.since], ["limit", MOST], ...ASKED.filter((name) => chosen[name]).map((name) => [name, chosen[name]])];
  events = (await get("/api/v1/events", asked)).document.items;
  draw();
}

offer();
const readNow = repeat(READ_MS, read);
watchHealth();

form.addEventListener("submit", (event) => event.preventDefault());
function take() {
  chosen = { ...chosen, ...Object.fromEntries(new FormData(form)) };
  choose(chosen, USUAL);
}

form.text.addEventListener("input", () => {
  take();
  draw();
});
form.addEventListener("change", ({ target }) => {
  if (target.name === "text") return;
  take();
  readNow();
});
addEventListener("hashchange", () => {
  chosen = choices(USUAL);
  offer();
  readNow();
});
