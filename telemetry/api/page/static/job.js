// The page of a job, or a pod: which GPUs it had, when, and what it made of them.

import { all } from "./api.js";
import { at, element, figures, fill } from "./draw.js";
import { repeat, watchHealth } from "./pulse.js";
import { Several } from "./several.js";
import { FIGURES, totals } from "./usage.js";
import { choices, choose } from "./view.js";
import { clock, gpuName, number } from "./words.js";

const USUAL = { job: "", pod: "", namespace: "", user: "", from: "", to: "" };
const READ_MS = 15000;
// As far back as a job is looked for.
const BACK = "-52w";
// As long as a gap in its readings that is bridged.
const OVER_MS = 600000;
const DAY_MS = 86400000;
// Of so many GPUs is asked when it had them.
const MOST = 64;

const charts = new Several((from, to) => change({ from: Math.round(from), to: Math.round(to) }));
let chosen = choices(USUAL);

function filters() {
  return ["job", "pod", "namespace", "user"].filter((name) => chosen[name]).map((name) => [name, chosen[name]]);
}

// Returns whether the job is over.
async function read() {
  const of = filters();
  at("name").textContent = of.length ? of.map(([name, value]) => `${name} ${value}`).join(", ") : "No job is named";
  document.title = `${at("name").textContent} · telemetry`;
  if (!of.length) {
    at("when").replaceChildren("Choose one among the ", element("a", { href: "/owners#by=pod" }, "owners"), ".");
    return true;
  }
  const asked = [["start_time", BACK], ...of];
  const whole = chosen.job ? "job" : "pod";
  const [{ items: total, document: about, now }, { items }] = await Promise.all([
    all("/api/v1/usage", [...asked, ["by", whole]]), all("/api/v1/usage", [...asked, ["by", "gpu"]]),
  ]);
  const gpus = items.sort((a, b) => `${a.host}`.localeCompare(`${b.host}`) || a.index - b.index);
  figures(at("numbers"), totals(total[0], about));
  const stretches = await Promise.all(gpus.slice(0, MOST).map(({ gpu }) => held(gpu, now)));
  const times = stretches.flat();
  fill(at("gpus"), gpus.map((row, place) => line(row, stretches[place] ?? [])), "It had no GPU in the last year, as far as readings tell.");
  at("gpus-count").textContent = number(gpus.length);
  if (times.length) return draw(of, times, now);
  at("charts").replaceChildren();
  return false;
}

async function held(gpu, now) {
  const { items } = await all(`/api/v1/gpus/${encodeURIComponent(gpu)}/allocations`, [["start_time", new Date(now - 364 * DAY_MS).toISOString()]]);
  return items.filter((owner) => filters().every(([name, value]) => owner[name] === value));
}

function line(row, stretches) {
  const text = (name) => FIGURES.find(([figure]) => figure === name)[2](row[name]);
  const [from, to] = bounds(stretches);
  const place = element("a", { href: `/gpus/${encodeURIComponent(row.gpu)}#${new URLSearchParams({ from, to })}` }, gpuName(row));
  return [
    stretches.length ? place : gpuName(row), row.model ?? "–", stretches.length ? clock(from) : "–", stretches.length ? clock(to) : "–",
    ...["held_hours", "idle_hours", "duty_cycle", "energy_kwh"].map(text),
  ];
}

function bounds(stretches) {
  return [Math.min(...stretches.map(({ start }) => Date.parse(start))), Math.max(...stretches.map(({ end }) => Date.parse(end)))];
}

async function draw(of, stretches, now) {
  const [begun, end] = bounds(stretches);
  const isOn = now - end < OVER_MS;
  at("when").textContent = `${clock(begun)} to ${isOn ? "now" : clock(end)}`;
  const [from, to] = chosen.from ? [Number(chosen.from), Number(chosen.to)] : [begun, end];
  at("whole").hidden = !chosen.from;
  const left = await charts.show(of, from, to);
  at("zoom").textContent = `${clock(from)} to ${clock(to)}${left > 0 ? `; ${number(left)} GPUs more are not drawn` : ""}`;
  return !isOn;
}

function change(choice) {
  chosen = { ...chosen, ...choice };
  choose(chosen, USUAL);
  readNow();
}

// A job that is over stays as it is: it is not asked for again.
const readNow = repeat(READ_MS, async () => {
  const key = JSON.stringify(chosen);
  if (read.over === key) return;
  read.over = (await read()) ? key : null;
});
watchHealth();

at("range").addEventListener("submit", (event) => event.preventDefault());
at("whole").addEventListener("click", () => change({ from: "", to: "" }));
addEventListener("hashchange", () => {
  chosen = choices(USUAL);
  readNow();
});
