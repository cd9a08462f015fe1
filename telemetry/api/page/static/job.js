// The page of a job, or a pod: which GPUs it had, when, and what it made of them.

import { all } from "./api.js";
import { at, element, figures, fill, wait } from "./draw.js";
import { repeat, watchHealth } from "./pulse.js";
import { Several } from "./several.js";
import { FIGURES, totals } from "./usage.js";
import { choices, choose } from "./view.js";
import { clock, count, gpuName, number, span as spanOf } from "./words.js";

const USUAL = { job: "", pod: "", namespace: "", user: "", account: "", from: "", to: "" };
const READ_MS = 15000;
// Usage and holders are known to the minute.
const LEARN_MS = 60000;
// As far back as a job is looked for.
const BACK = "-52w";
// As long as a gap in its readings that is bridged.
const OVER_MS = 600000;
const DAY_MS = 86400000;
// Of so many GPUs is asked when it had them.
const MOST = 64;

const charts = new Several((from, to) => change({ from: Math.round(from), to: Math.round(to) }));
let chosen = choices(USUAL);
// What is known of the job that is named: when it began, and from when to when (ms) it had each GPU.
let known = null;

function filters() {
  return ["job", "pod", "namespace", "user", "account"].filter((name) => chosen[name]).map((name) => [name, chosen[name]]);
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
  const key = JSON.stringify(of);
  if (known?.key !== key) {
    known = { key, begun: null, now: null, learnt: -Infinity, spans: new Map() };
    figures(at("numbers"), []);
    at("gpus-count").textContent = "";
    wait(at("gpus"));
  }
  if (performance.now() - known.learnt >= LEARN_MS) await learn(of, known);
  if (JSON.stringify(filters()) !== key) return false;
  if (known.spans.size) return draw(of, around([...known.spans.values()]), Number(known.now) + performance.now() - known.learnt);
  at("charts").replaceChildren();
  return false;
}

// A year is looked through once. From then on only the job's own time is asked for, and the holders of GPUs that it may still have.
async function learn(of, job) {
  const asked = [["start_time", job.begun === null ? BACK : iso(job.begun - DAY_MS)], ...of];
  const whole = chosen.job ? "job" : "pod";
  const [{ items: total, document: about, now }, { items }] = await Promise.all([
    all("/api/v1/usage", [...asked, ["by", whole]]), all("/api/v1/usage", [...asked, ["by", "gpu"]]),
  ]);
  const gpus = items.sort((a, b) => `${a.host}`.localeCompare(`${b.host}`) || a.index - b.index);
  await Promise.all(gpus.slice(0, MOST).map(({ gpu }) => hold(job, gpu, of, now)));
  if (job !== known) return;
  Object.assign(job, { now, learnt: performance.now(), begun: job.spans.size ? around([...job.spans.values()])[0] : null });
  figures(at("numbers"), totals(total[0], about));
  fill(at("gpus"), gpus.map((row) => line(row, job.spans.get(row.gpu))), "It had no GPU in the last year, as far as readings tell.");
  at("gpus-count").textContent = number(gpus.length);
}

// Learn from when to when the job had a GPU, or until when by now.
async function hold(job, gpu, of, now) {
  const before = job.spans.get(gpu);
  if (before && now - before[1] >= OVER_MS) return;
  const since = before ? before[1] : job.begun === null ? now - 364 * DAY_MS : job.begun - DAY_MS;
  const { items } = await all(`/api/v1/gpus/${encodeURIComponent(gpu)}/allocations`, [["start_time", iso(since)]]);
  const own = items.filter((owner) => of.every(([name, value]) => owner[name] === value));
  const spans = [...(before ? [before] : []), ...own.map(({ start, end }) => [Date.parse(start), Date.parse(end)])];
  if (spans.length) job.spans.set(gpu, around(spans));
}

// From the first to the last time of some spans.
function around(spans) {
  return [Math.min(...spans.map(([from]) => from)), Math.max(...spans.map(([, to]) => to))];
}

function iso(time) {
  return new Date(time).toISOString();
}

function line(row, span) {
  const text = (name) => FIGURES.find(([figure]) => figure === name)[2](row[name]);
  const path = span && `/gpus/${encodeURIComponent(row.gpu)}#${new URLSearchParams({ from: span[0], to: span[1] })}`;
  return [
    path ? element("a", { href: path }, gpuName(row)) : gpuName(row), row.model ?? "–", ...(span ? span.map((time) => clock(time)) : ["–", "–"]),
    ...["held_hours", "idle_hours", "duty_cycle", "energy_kwh"].map(text),
  ];
}

async function draw(of, [begun, end], now) {
  const isOn = now - end < OVER_MS;
  at("when").textContent = isOn ? `${clock(begun)} to now` : spanOf(begun, end);
  const [from, to] = chosen.from ? [Number(chosen.from), Number(chosen.to)] : [begun, isOn ? now : end];
  at("whole").hidden = !chosen.from;
  const left = await charts.show(of, from, to);
  at("zoom").textContent = `${spanOf(from, to)}${left > 0 ? `; ${count(left, "GPU")} more are not drawn` : ""}`;
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
