// The page of the pipeline: the servers, the edges, the sources, and how much there is of everything.

import { all, get, post } from "./api.js";
import { at, element, figures, fill } from "./draw.js";
import { repeat, watchHealth } from "./pulse.js";
import { ago, clock, duration, number, size } from "./words.js";

const READ_MS = 5000;
const SHOWN = 100;
const LETTERS = 20;

async function read() {
  const [{ document: stats, now }, { items: edges }, { items: sources }, { document: letters }] = await Promise.all([
    get("/api/v1/stats"), all("/api/v1/edges"), all("/api/v1/sources"), get("/api/v1/dead-letters", [["limit", LETTERS]]),
  ]);
  figures(at("numbers"), [
    ["Samples", (stats.samples_exact ? "" : "about ") + number(stats.samples), `of ${number(stats.series)} series`],
    ["GPUs", number(stats.gpus), `on ${number(stats.hosts)} hosts`],
    ["Newest", ago(stats.latest, now), "time of the newest sample"],
    ["In quarantine", number(stats.quarantined), "rows that cannot be read as readings", stats.quarantined ? "warn" : ""],
    ["Dead letters", number(stats.dead_letters), "messages that cannot be stored", stats.dead_letters ? "bad" : ""],
  ]);
  drawLetters(letters.items, stats.dead_letters);
  drawEdges(edges, now);
  drawSources(sources, now);
}

function drawLetters(letters, count) {
  fill(at("letters"), letters.map((letter) => [
    String(letter.id), clock(letter.died_at), letter.edge ?? "–", letter.error, size(letter.payload_bytes), todo(letter.id),
  ]), "None.");
  at("letters-count").textContent = count > letters.length ? `the oldest ${letters.length} of ${number(count)}` : number(letters.length);
}

// Only a process that may write readings stores a letter again, so that is a command at the centre.
function todo(id) {
  return element("span", { class: "prose" }, "Mend the cause, then ", element("code", {}, `telemetry deadletter retry ${id}`), ". Or ",
    element("button", { type: "button", "data-drop": id }, "drop it"));
}

function drawEdges(edges, now) {
  const silent = edges.filter((edge) => edge.silent_s);
  fill(at("edges"), edges.map((edge) => [
    edge.name, number(edge.sources), ago(edge.last_commit, now), edge.last_seen ? ago(edge.last_seen, now) : "–",
    edge.silent_s ? element("span", { class: "bad" }, `silent for ${duration(edge.silent_s)}`) : edge.last_seen ? "at work" : "does not stream now",
  ]), "No edge has sent anything yet.");
  at("edges-count").textContent = silent.length ? `${number(silent.length)} silent of ${number(edges.length)}` : number(edges.length);
}

function drawSources(sources, now) {
  const newest = [...sources].sort((a, b) => (b.last_commit ?? "").localeCompare(a.last_commit ?? ""));
  fill(at("sources"), newest.slice(0, SHOWN).map((source) => [
    source.path, source.edge, source.format,
    ...["rows", "stored", "duplicate", "conflict", "blank"].map((name) => number(source[name])),
    element("span", { class: source.quarantined ? "warn" : "" }, number(source.quarantined)), ago(source.last_commit, now),
  ]), "No file has been read yet.");
  at("sources-count").textContent = sources.length > SHOWN ? `the newest ${SHOWN} of ${number(sources.length)}` : number(sources.length);
}

const readNow = repeat(READ_MS, read);
at("letters").addEventListener("click", async ({ target }) => {
  const id = target.dataset.drop;
  if (!id || !confirm(`Drop dead letter ${id} for good? Its rows will not be stored.`)) return;
  target.disabled = true;
  try {
    await post(`/api/v1/dead-letters/${id}/drop`);
    readNow();
  } catch (error) {
    target.replaceWith(element("span", { class: "bad" }, error.message));
  }
});
watchHealth((health) => {
  fill(at("parts"), ["database", "broker"].map((part) => {
    const { status, mend, since } = health[part];
    const state = status === "ok" ? "ok" : element("span", { class: "bad" }, since ? `${status} since ${new Date(since).toLocaleTimeString("en-GB")}` : status);
    return [part, state, mend ?? "–"];
  }), "");
});
