// The page of the fleet: five numbers, what needs attention, and a cell for every GPU.

import { bounds, scale } from "./colours.js";
import { at, element, figures } from "./draw.js";
import { Fleet, UTILISATION } from "./fleet_model.js";
import { Grid } from "./grid.js";
import { drawAttention } from "./attention.js";
import { repeat, watchHealth } from "./pulse.js";
import { Choices } from "./view.js";
import { duration, number, short, sought } from "./words.js";

const USUAL = { metric: UTILISATION, state: "all", sort: "host", text: "" };
// A change is to be seen within a second of its commit.
const READ_MS = 800;
// Where nothing has changed, ages grow.
const DRAW_MS = 2000;
const HEALTH_MS = 10000;
const STOCK_MS = 60000;

const fleet = new Fleet();
let drawn = -Infinity;
const grid = new Grid(at("grid"), at("about"), () => drawGrid(fleet.looks(view.chosen.metric)));
const form = at("filters");
const view = new Choices(form, USUAL, { local: ["state", "sort", "text"], draw, ask });

function draw() {
  drawn = performance.now();
  const looks = fleet.looks(view.chosen.metric);
  drawNumbers(looks);
  drawAttention(looks, fleet.clock);
  drawGrid(looks);
}

function drawNumbers(looks) {
  const reporting = looks.filter((gpu) => !gpu.silent);
  const well = reporting.filter((gpu) => !gpu.ill);
  const held = looks.filter((gpu) => gpu.held);
  const idle = held.filter((gpu) => gpu.idle);
  const ages = reporting.map((gpu) => gpu.age_s).filter(Number.isFinite).sort((a, b) => a - b);
  const ill = looks.filter((gpu) => gpu.ill);
  const share = looks.length ? `${number((100 * well.length) / looks.length)} %` : "–";
  figures(at("numbers"), [
    ["Reporting", `${number(reporting.length)} of ${number(looks.length)}`, `GPUs with a reading in the last ${duration(fleet.silentAfterS)}`,
      reporting.length < looks.length ? "warn" : ""],
    ["Well", share, "reporting, and neither faulty nor degraded ÷ all known GPUs", well.length < looks.length ? "warn" : ""],
    ["Held", number(held.length), `by a pod, a job or a user; ${number(idle.length)} of them idle (utilisation below 5 %)`],
    ["Fresh", ages.length ? duration(ages[Math.floor(ages.length * 0.95)]) : "–", "age of the last reading that this page asked for, of 95 % of the GPUs"],
    ["Faults", number(ill.length), "GPUs that are faulty or degraded, or were so when they fell silent", ill.length ? "bad" : ""],
  ]);
  at("freshness").textContent = ages.length ? `newest reading ${duration(ages[0])} ago` : "";
}

function drawGrid(looks) {
  const unit = fleet.metrics.find(({ name }) => name === view.chosen.metric)?.unit;
  const span = bounds(looks.map((gpu) => gpu.value), unit);
  grid.draw(looks, isShown, span, view.chosen, fleet.clock);
  const shown = number(looks.filter(isShown).length);
  at("grid-count").textContent = `${shown} of ${number(looks.length)}${grid.isHeld ? ", in this order while you are on the map" : ""}`;
  at("legend").replaceChildren(
    ...scale(span).map(([colour, from]) => element("span", { class: `swatch ${colour}` }, number(from))),
    element("span", {}, unit ?? ""),
    element("span", { class: "swatch silent" }, "silent"),
    element("span", { class: "swatch fault" }, "! fault"),
  );
  if (!looks.length) at("grid").replaceChildren(emptiness());
}

function emptiness() {
  const command = element("code", {}, "telemetry ingest FILE.csv");
  return element("p", {}, "No GPU has sent a reading yet. Send some: ", command, " , or start a streamer on a directory of CSV files.");
}

function isShown(gpu) {
  const states = { all: true, reporting: !gpu.silent, silent: gpu.silent, faulty: gpu.ill, held: gpu.held, idle: gpu.idle };
  const words = [gpu.name, gpu.id, gpu.model, gpu.owner.namespace, gpu.owner.pod, gpu.owner.job, gpu.owner.user].filter(Boolean).join(" ").toLowerCase();
  return (states[view.chosen.state] ?? true) && view.chosen.text.toLowerCase().split(/\s+/).every((word) => words.includes(word));
}

function offer() {
  const names = sought(fleet.metrics).map(({ name }) => name);
  if (!names.includes(view.chosen.metric) && names.length) view.chosen.metric = names.includes(UTILISATION) ? UTILISATION : names[0];
  if (form.metric.options.length !== names.length) {
    form.metric.replaceChildren(...names.map((name) => element("option", { value: name, title: name }, short(name))));
  }
  const [, highest, lowest] = form.sort.options;
  [highest.textContent, lowest.textContent] = ["highest", "lowest"].map((which) => `${which} ${short(view.chosen.metric)} first`);
  view.show();
}

async function read() {
  if (!fleet.gpus.size) await fleet.takeStock();
  offer();
  if (await fleet.read([view.chosen.metric, UTILISATION])) draw();
  at("grid").removeAttribute("aria-busy");
}

const readNow = repeat(READ_MS, read);
// Whether the server answers or not, ages grow.
repeat(DRAW_MS / 2, async () => {
  if (fleet.gpus.size && performance.now() - drawn >= DRAW_MS) draw();
});
repeat(HEALTH_MS, async () => {
  if (!fleet.gpus.size) await fleet.takeStock();
  await fleet.judge();
  draw();
});
setTimeout(() => repeat(STOCK_MS, () => fleet.takeStock()), STOCK_MS);
watchHealth();

function ask() {
  draw();
  readNow();
}
