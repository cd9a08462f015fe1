// The page of events: what happened to the GPUs, the latest first, and on as it happens.

import { all, allowed, get } from "./api.js";
import { at, element, fill, wait } from "./draw.js";
import { repeat, watchHealth } from "./pulse.js";
import { Choices } from "./view.js";
import { line, number } from "./words.js";

const USUAL = { since: "-1d", kind: "", host: "", gpu: "", text: "" };
// What the API filters by; it is asked once such a field is left, not at each key.
const ASKED = ["kind", "host", "gpu"];
const READ_MS = 5000;
const MOST = 1000;

const form = at("filters");
const view = new Choices(form, USUAL, { local: ["text"], draw, ask });
let events = null;
let knowsHosts = false;

async function learn() {
  const { items } = await allowed(all("/api/v1/hosts"), { items: [] });
  knowsHosts = true;
  const names = items.map(({ name }) => name);
  const { host } = view.chosen;
  if (host && !names.includes(host)) names.unshift(host);
  form.host.replaceChildren(element("option", { value: "" }, "all"), ...names.map((name) => element("option", {}, name)));
  view.show();
}

function draw() {
  if (!events) return;
  const words = view.chosen.text.toLowerCase().split(/\s+/);
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
  if (!knowsHosts) await learn();
  const question = view.question();
  const { since, ...chosen } = view.chosen;
  const asked = [["start_time", since], ["limit", MOST], ...ASKED.filter((name) => chosen[name]).map((name) => [name, chosen[name]])];
  const { items } = (await get("/api/v1/events", asked)).document;
  if (view.question() !== question) return;
  events = items;
  draw();
}

function ask() {
  events = null;
  at("events-count").textContent = "";
  wait(at("events"));
  readNow();
}

view.show();
wait(at("events"));
const readNow = repeat(READ_MS, read);
watchHealth();
