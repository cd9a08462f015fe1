// The page of one host: its GPUs as they are now, and their metrics over time in common charts.

import { all, get } from "./api.js";
import { at, element, fill } from "./draw.js";
import { times } from "./history.js";
import { repeat, watchHealth } from "./pulse.js";
import { Several } from "./several.js";
import { choices, choose } from "./view.js";
import { ago, count, gpuName, jobPath, number, parts, quantity, span, state, stateClass, whose } from "./words.js";

const USUAL = { span: "1h", from: "", to: "" };
const READ_MS = 10000;
const NOW = ["GPU_UTIL", "GPU_TEMP", "POWER_USAGE", "FB_USED"].map((name) => `DCGM_FI_DEV_${name}`);

const host = at("name").dataset.host;
const form = at("range");
const charts = new Several((from, to) => change({ from: Math.round(from), to: Math.round(to) }));
let chosen = choices(USUAL);
let skewMs = 0;

async function look() {
  const [{ document: facts, now }, { items: states }, { items: metrics }] = await Promise.all([
    get(`/api/v1/hosts/${encodeURIComponent(host)}`), all("/api/v1/health", [["host", host]]), all("/api/v1/metrics"),
  ]);
  skewMs = now - Date.now();
  const details = [["GPUs", number(facts.gpus)], ["Models", facts.models], ["Last reading", ago(facts.last_seen, now)]];
  at("facts").replaceChildren(...details.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value ?? "–"))));
  const asked = metrics.filter(({ name }) => NOW.includes(name)).map(({ name }) => ["metric", name]);
  const { items: latest } = asked.length ? await all("/api/v1/latest", [["host", host], ...asked]) : { items: [] };
  const ordered = [...states].sort((a, b) => a.index - b.index);
  fill(at("gpus"), ordered.map((gpu) => row(gpu, latest.filter((reading) => reading.gpu === gpu.gpu))), "No GPU of this host is known.");
  const ill = states.filter(({ state }) => state !== "well");
  at("gpus-count").textContent = ill.length ? `${number(ill.length)} of ${number(states.length)} not well` : number(states.length);
}

function row(gpu, readings) {
  const values = NOW.map((metric) => readings.find((reading) => reading.metric === metric && !("GPU_I_ID" in reading.labels)));
  // Two sources may tell of a GPU, of which one knows no owners.
  const owned = readings.filter(({ owner }) => Object.keys(owner).length).sort((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp));
  const who = parts(owned[0]?.owner ?? {});
  const path = jobPath(who);
  return [
    element("a", { href: `/gpus/${encodeURIComponent(gpu.gpu)}` }, gpuName(gpu)),
    element("span", { class: stateClass(gpu) }, [state(gpu), gpu.reasons.filter(({ rule }) => rule !== "silent").map(({ says }) => says).join("; ")].filter(Boolean).join(": ")),
    ...values.map((reading) => element("span", { class: "whole" }, reading ? quantity(reading.value, reading.unit) : "–")),
    path ? element("a", { href: path }, whose(who)) : whose(who),
  ];
}

async function read() {
  const [from, to] = times(chosen, USUAL, Date.now() + skewMs);
  for (const radio of form.span) radio.checked = !chosen.from && radio.value === chosen.span;
  at("whole").hidden = !chosen.from;
  at("zoom").textContent = span(from, to);
  at("happened").href = `/events#${new URLSearchParams({ host, since: "-7d" })}`;
  const left = await charts.show([["host", host]], from, to);
  if (left > 0) at("zoom").textContent += `; ${count(left, "GPU")} more are not drawn`;
}

function change(choice) {
  chosen = { ...chosen, ...choice };
  choose(chosen, USUAL);
  readNow();
}

repeat(READ_MS, look);
const readNow = repeat(READ_MS, read);
watchHealth();

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", ({ target }) => change({ span: target.value, from: "", to: "" }));
at("whole").addEventListener("click", () => change({ from: "", to: "" }));
addEventListener("hashchange", () => {
  chosen = choices(USUAL);
  readNow();
});
