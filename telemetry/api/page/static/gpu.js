// The page of one GPU: what it is, its metrics over time on one axis, alone or compared with others, and who held it.

import { all, get } from "./api.js";
import { Chart } from "./chart.js";
import { at, element, fill } from "./draw.js";
import { history, holders, times } from "./history.js";
import * as compared from "./others.js";
import { repeat, watchHealth } from "./pulse.js";
import { choices, choose } from "./view.js";
import { ago, clock, count, duration, gpuName, jobPath, line, short, sought, span, state, stateClass, whose } from "./words.js";

const FIRST = ["GPU_UTIL", "FB_USED", "GPU_TEMP", "POWER_USAGE"].map((name) => `DCGM_FI_DEV_${name}`);
const USUAL = { span: "1h", metrics: "", from: "", to: "", with: "" };
const READ_MS = 5000;
const HEALTH_MS = 10000;
// Who held it in this last stretch of time holds it now, as far as is known.
const HELD_MS = 120000;
// As many as one question may name.
const MOST = 40;
const MARKS = 1000;

const gpu = at("name").dataset.gpu;
const path = `/api/v1/gpus/${encodeURIComponent(gpu)}`;
const form = at("range");
const charts = new Map();
let chosen = choices(USUAL);
let metrics = [];
// How far the server's clock is before the browser's.
let skewMs = 0;

async function learn() {
  const [{ document: facts }, { items, now }] = await Promise.all([get(path), all(`${path}/metrics`)]);
  metrics = sought(items);
  at("name").textContent = gpuName(facts);
  if (facts.host !== null) Object.assign(at("host"), { textContent: `Host ${facts.host}`, href: `/hosts/${encodeURIComponent(facts.host)}`, hidden: false });
  skewMs = now - Date.now();
  const newest = items.reduce((last, { last_reading }) => (last_reading > last ? last_reading : last), "");
  const held = (await holders(gpu, now - HELD_MS, now.getTime())).map((owner) => named(owner));
  const who = held.length ? element("span", {}, ...held.flatMap((each, place) => (place ? [" and ", each] : [each]))) : "nobody";
  const details = [["Held by", who], ["Model", facts.model], ["UUID", facts.uuid], ["Driver", facts.driver_version], ["Last reading", ago(newest || null, now)]];
  at("facts").replaceChildren(...details.filter(([, value]) => value).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  offer();
}

function named(owner) {
  return jobPath(owner) ? element("a", { href: jobPath(owner) }, whose(owner)) : whose(owner);
}

function asked() {
  const names = metrics.map(({ name }) => name);
  const drawn = chosen.metrics ? chosen.metrics.split(",") : FIRST;
  const known = drawn.filter((name) => names.includes(name));
  return known.length ? known.slice(0, MOST) : names.slice(0, 4);
}

function offer() {
  const drawn = asked();
  if (at("metrics").children.length !== metrics.length) at("metrics").replaceChildren(...metrics.map(({ name, description }) => element("label", { class: "choice", title: description ?? name },
    element("input", { type: "checkbox", name: "metric", value: name, checked: drawn.includes(name) }), ` ${short(name)}`)));
  for (const radio of form.span) radio.checked = !chosen.from && radio.value === chosen.span;
}

async function read() {
  if (!metrics.length) await learn();
  const drawn = asked();
  const [from, to] = times(chosen, USUAL, Date.now() + skewMs);
  const others = compared.names(chosen.with);
  // Before anything is asked: a name that was mistyped can be removed whatever the answers are.
  const label = (troubles) => compared.legend(at("name").textContent, others, (name) => change({ with: others.filter((other) => other !== name).join() }), troubles);
  label(read.troubles);
  const [points, events, held, { lines, troubles }] = await Promise.all([
    history(gpu, drawn, from, to), happened(from, to), holders(gpu, from, to), compared.lines(others, drawn, from, to),
  ]);
  const stretches = held.map((owner) => ({ from: Date.parse(owner.start), to: Date.parse(owner.end), who: whose(owner) }));
  read.troubles = troubles;
  label(troubles);
  const marks = events.filter(({ kind }) => kind !== "allocation").map((event) => ({ at: Date.parse(event.at), event }));
  const places = drawn.map((metric) => chart(metric).place);
  // A chart that stays keeps the focus.
  if (places.some((place, number) => at("charts").children[number] !== place) || at("charts").children.length !== places.length) {
    at("charts").replaceChildren(...places);
  }
  for (const metric of drawn) {
    chart(metric).show(points.get(metric), from, to, { marks, held: stretches, others: lines[metric], name: others.length ? at("name").textContent : "" });
  }
  at("charts").removeAttribute("aria-busy");
  at("zoom").textContent = `${span(from, to)}${marks.length ? `; ${count(marks.length, "event")}, marked red` : ""}${held.length ? "; the strip at the top is who held it" : ""}`;
  fill(at("events"), events.map(line), "Nothing, as far as the rules tell.");
  at("whole").hidden = !chosen.from;
  fill(at("held"), held.map((owner) => [
    named(owner), clock(owner.start), clock(owner.end), duration(owner.held_s),
  ]), "Nobody in this span, as far as its readings say.");
  for (const format of ["csv", "parquet"]) at(format).href = `${path}/telemetry?${new URLSearchParams([
    ...drawn.map((metric) => ["metric", metric]), ["start_time", new Date(from).toISOString()], ["end_time", new Date(to).toISOString()], ["format", format]])}`;
}

async function happened(from, to) {
  const asked = [["gpu", gpu], ["start_time", new Date(from).toISOString()], ["end_time", new Date(to).toISOString()], ["limit", MARKS]];
  return (await get("/api/v1/events", asked)).document.items;
}

async function judge() {
  await learn();
  const { document, now } = await get("/api/v1/health", [["gpu", gpu]]);
  const [health] = document.items;
  at("state").textContent = health ? `${state(health)} for ${ago(health.since, now).replace(/ ago$/, "")}` : "";
  at("state").className = (health && stateClass(health)) ?? "quiet";
  fill(at("reasons"), (health?.reasons ?? []).map(({ says, heuristic, since, action }) => [
    heuristic ? `${says} (a heuristic)` : says, ago(since, now), action,
  ]), "No rule tells of a fault.");
}

function chart(metric) {
  if (!charts.has(metric)) {
    const about = metrics.find(({ name }) => name === metric) ?? { name: metric };
    charts.set(metric, new Chart(about, (from, to) => change({ from: Math.round(from), to: Math.round(to) })));
  }
  return charts.get(metric);
}

function change(choice) {
  chosen = { ...chosen, ...choice };
  choose(chosen, USUAL);
  offer();
  readNow();
}

// A span that was zoomed into is over: it is not asked for again.
const readNow = repeat(READ_MS, async () => {
  const key = JSON.stringify(chosen);
  if (chosen.from && key === read.last) return;
  await read();
  read.last = key;
});
repeat(HEALTH_MS, judge);
watchHealth();

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", ({ target }) => {
  if (target.name === "span") change({ span: target.value, from: "", to: "" });
  else if (target.name === "metric") change({ metrics: [...form.querySelectorAll("[name=metric]:checked")].map(({ value }) => value).join(",") });
});
compared.offer(form.other, (name) => change({ with: compared.names(`${chosen.with},${name}`).join() }));
at("whole").addEventListener("click", () => change({ from: "", to: "" }));
addEventListener("hashchange", () => {
  chosen = choices(USUAL);
  offer();
  readNow();
});
