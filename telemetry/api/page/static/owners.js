// The page of owners: who used how much in a span, by namespace, user, job and more.

import { all, allowed, get } from "./api.js";
import { at, element, figures, fill, wait } from "./draw.js";
import { repeat, watchHealth } from "./pulse.js";
import { figuresOf, meaning, totals } from "./usage.js";
import { Choices } from "./view.js";
import { clock, count, jobPath, number, span as spanOf } from "./words.js";

const USUAL = { by: "namespace", since: "-7d", from: "", to: "", sort: "-held_hours", text: "", namespace: "", user: "", account: "" };
// Of these one goes to the pods within, or the jobs.
const WITHIN = { namespace: "pod", user: "job", account: "job" };
const READ_MS = 30000;
const SHOWN = 500;

const view = new Choices(at("filters"), USUAL, { local: ["text"], draw, ask });
let rows = [];
let document_ = null;
// The time of the first reading that is stored.
let begun = null;

// The first moment of a day by the reader's clock, or of one of the days after it.
function begin(day, later = 0) {
  const [year, month, number] = day.split("-").map(Number);
  return new Date(year, month - 1, number + later).toISOString();
}

function span() {
  const { since, from, to } = view.chosen;
  if (since !== "days") return [["start_time", since]];
  return [...(from ? [["start_time", begin(from)]] : []), ...(to ? [["end_time", begin(to, 1)]] : [])];
}

function filters() {
  return Object.keys(WITHIN).filter((name) => view.chosen[name]).map((name) => [name, view.chosen[name]]);
}

// A pod's name is one within its namespace. Two clusters of Slurm may have a job of one number.
function groups() {
  const { by } = view.chosen;
  return by === "pod" ? ["namespace", "pod"] : by === "job" ? ["job", "user", "account"] : [by];
}

async function read() {
  offer();
  const question = view.question();
  const asked = [...span(), ...filters()];
  const by = groups().map((name) => ["by", name]);
  const [{ document: stats }, whole, listed] = await Promise.all([
    allowed(get("/api/v1/stats"), { document: { earliest: null } }), all("/api/v1/usage", [...asked, ["by", "model"]]), all("/api/v1/usage", [...asked, ...by, ["sort", view.chosen.sort]]),
  ]);
  if (view.question() !== question) return;
  rows = listed.items;
  document_ = listed.document;
  begun = stats.earliest;
  figures(at("numbers"), totals(sum(whole.items), document_));
  draw();
  for (const format of ["csv", "parquet"]) at(format).href = `/api/v1/usage?${new URLSearchParams([...asked, ...by, ["sort", view.chosen.sort], ["format", format]])}`;
}

// The parts of an answer add up; shares are means by the time that they are of.
function sum(items) {
  if (!items.length) return null;
  const add = (name) => (items.every((row) => row[name] === null) ? null : items.reduce((total, row) => total + (row[name] ?? 0), 0));
  const mean = (name, weight) => {
    const of = items.filter((row) => row[name] !== null && weight(row) > 0);
    const all = of.reduce((total, row) => total + weight(row), 0);
    return all ? of.reduce((total, row) => total + row[name] * weight(row), 0) / all : null;
  };
  const kinds = new Set(items.map(({ energy_from: kind }) => kind).filter(Boolean));
  return {
    ...Object.fromEntries(["held_hours", "idle_hours", "free_hours", "energy_kwh", "cost", "unpriced_hours"].map((name) => [name, add(name)])),
    coverage: mean("coverage", (row) => row.held_hours),
    duty_cycle: mean("duty_cycle", (row) => row.held_hours * row.duty_coverage),
    energy_from: kinds.size > 1 ? "both" : [...kinds][0] ?? null,
  };
}

function draw() {
  if (!document_) return;
  const [by, columns] = [groups(), figuresOf(document_)];
  const heads = [...by.map((name) => name[0].toUpperCase() + name.slice(1)), ...columns.map(([, head]) => head)];
  const line = at("usage").tHead.rows[0];
  if (line.textContent !== heads.join("")) {
    line.replaceChildren(...heads.map((head, place) => element("th", { scope: "col", class: place < by.length ? null : "figure" }, head)));
    at("usage").tBodies[0].replaceChildren();
  }
  const words = view.chosen.text.toLowerCase().split(/\s+/);
  const shown = rows.filter((row) => words.every((word) => by.map((name) => row[name] ?? "nobody").join(" ").toLowerCase().includes(word)));
  fill(at("usage"), shown.slice(0, SHOWN).map((row) => [
    ...by.map((name) => named(name, row)), ...columns.map(([name, , text]) => element("span", { class: "figure" }, text(row[name]))),
  ]), "Nobody in this span. GPUs have owners where their readings have labels such as namespace, pod or user.");
  // What nobody had is a row, and no owner.
  const owners = (some) => some.filter((row) => by.some((name) => row[name] !== null)).length;
  const late = begun && Date.parse(begun) > Date.parse(document_.start) ? `; the first reading is of ${clock(begun)}` : "";
  at("usage-count").textContent = `${number(owners(shown.slice(0, SHOWN)))} of ${count(owners(rows), view.chosen.by)}, ${spanOf(document_.start, document_.end)}${late}`;
  at("meaning").textContent = meaning(document_);
}

function named(name, row) {
  const value = row[name];
  if (value === null) return element("span", { class: "quiet" }, name === "model" || name === "host" ? "unknown" : "nobody");
  if (name === "pod" || name === "job") return element("a", { href: jobPath({ ...row, ...(name === "pod" ? { job: null } : {}) }) }, value);
  if (name === "host") return element("a", { href: `/hosts/${encodeURIComponent(value)}` }, value);
  if (!(name in WITHIN) || name !== view.chosen.by) return value;
  const { since, from, to, sort } = view.chosen;
  return element("a", { href: address({ since, from, to, sort, by: WITHIN[name], [name]: value }) }, value);
}

function address(choice) {
  return `/owners#${new URLSearchParams(Object.entries(choice).filter(([name, value]) => value && value !== USUAL[name]))}`;
}

function offer() {
  view.show();
  at("days").hidden = view.chosen.since !== "days";
  at("zone").textContent = `Days are those of your clock, ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
  const { since, from, to } = view.chosen;
  const within = filters().map(([name, value]) => `${name} ${value}`).join(", ");
  at("within").hidden = !within;
  if (at("within").dataset.of !== within) {
    at("within").dataset.of = within;
    at("within").replaceChildren(`Only of ${within}. `, element("a", { href: address({ since, from, to }) }, "Show all"));
  }
}

function ask() {
  document_ = null;
  at("usage-count").textContent = "";
  wait(at("usage"));
  readNow();
}

offer();
wait(at("usage"));
const readNow = repeat(READ_MS, read);
watchHealth();
