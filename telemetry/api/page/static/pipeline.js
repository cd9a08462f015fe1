// The page of the pipeline: how readings flow, the servers, the edges, the sources, and what could not be stored.

import { all, get, post } from "./api.js";
import { at, element, figures, fill } from "./draw.js";
import { isAway, repeat, watchHealth } from "./pulse.js";
import { ago, clock, count, duration, number, size } from "./words.js";

const READ_MS = 5000;
const SHOWN = 100;
const LETTERS = 20;
// What the broker alone knows.
const OF_BROKER = ["Queue", "Behind", "Gaps"];
// A collector has so long to store a letter before the API answers that it goes on.
const RETRY_MS = 15000;
// What a retry has come to, by the number of the letter; its place in the table is drawn anew all the time.
const retries = new Map();

async function read() {
  const [{ document: stats, now }, { document: flow }, { items: edges }, { items: sources }, { document: letters }] = await Promise.all([
    get("/api/v1/stats"), get("/api/v1/pipeline"), all("/api/v1/edges"), all("/api/v1/sources"), get("/api/v1/dead-letters", [["limit", LETTERS]]),
  ]);
  drawFlow(flow, edges);
  for (const tile of at("flow").children) tile.classList.toggle("of-broker", OF_BROKER.includes(tile.firstChild.textContent));
  figures(at("numbers"), [
    ["Samples", (stats.samples_exact ? "" : "about ") + number(stats.samples), `of ${number(stats.series)} series`],
    ["GPUs", number(stats.gpus), `on ${number(stats.hosts)} hosts`],
    ["Newest", ago(stats.latest, now), "time of the newest sample"],
    ["In quarantine", number(stats.quarantined), "rows that cannot be read as readings", stats.quarantined ? "warn" : ""],
    ["Dead letters", number(stats.dead_letters), "messages that cannot be stored", stats.dead_letters ? "bad" : ""],
  ]);
  drawLetters(letters.items, stats.dead_letters);
  drawEdges(edges, flow.windows, now);
  drawClusters(flow.clusters);
  drawGaps(flow.gaps);
  drawSources(sources, now);
}

function drawFlow({ queue, collectors, rows_per_s: rate, clusters, windows, gaps, complete, brokers }, edges) {
  const unknown = "the broker does not answer";
  const away = Object.keys(brokers ?? {}).filter((name) => !brokers[name]);
  // What the other brokers say is not all there is.
  const without = complete ? "" : `; without the broker ${away.join(", ")}, which does not answer`;
  const silent = edges.filter((edge) => edge.silent_s).length;
  const behind = (windows ?? []).reduce((total, { lag_bytes: bytes }) => total + bytes, 0);
  const slowest = Math.max(...clusters.map(({ latency_p99_s: seconds }) => seconds));
  const isStuck = queue?.waiting && !collectors;
  figures(at("flow"), [
    ["Queue", queue ? number(queue.waiting) : "–", queue ? `batches wait; collectors hold ${number(queue.unacked)} more${without}` : unknown, isStuck ? "bad" : complete ? "" : "warn"],
    ["Collectors", number(collectors), collectors ? "processes with a session of the database" : "no process has a session of the database", isStuck ? "bad" : ""],
    ["Rows a second", number(rate), "committed in the last minute"],
    ["Latency", clusters.length ? `${number(slowest)} s` : "–", clusters.length ? "99 % of the slowest cluster's batches took no longer" : "nothing was committed in the last minute"],
    ["Behind", windows ? size(behind) : "–", windows ? `of files that are not committed${silent ? `; ${number(silent)} edges are silent` : ""}${without}` : unknown, silent || !complete ? "warn" : ""],
    ["Gaps", gaps ? number(gaps.length) : "–", gaps ? `stretches of files that the ledger lacks${without}` : "they cannot be looked for now", gaps?.length ? "bad" : complete ? "" : "warn"],
  ]);
}

function drawLetters(letters, count) {
  fill(at("letters"), letters.map((letter) => [
    String(letter.id), clock(letter.died_at), letter.edge ?? "–", letter.error, size(letter.payload_bytes), todo(letter),
  ]), "None.");
  at("letters-count").textContent = count > letters.length ? `the oldest ${letters.length} of ${number(count)}` : number(letters.length);
}

// Without an edge it names no batch that a collector could store.
function todo({ id, edge }) {
  const failure = retries.get(id);
  const isOut = failure === "";
  return element("span", { class: "prose" },
    edge ? element("span", {}, "Mend the cause, then ", element("button", { type: "button", "data-retry": id, disabled: isOut }, isOut ? "is being stored" : "store it again"), " or ") : "It names no batch: ",
    element("button", { type: "button", "data-drop": id, disabled: isOut }, "drop it"), failure ? element("span", { class: "bad" }, ` ${failure}`) : null);
}

// Those that are furthest behind come first.
function drawEdges(edges, windows, now) {
  const silent = edges.filter((edge) => edge.silent_s);
  const of = new Map((windows ?? []).map((window) => [window.edge, window]));
  const late = (edge) => [edge.silent_s ?? 0, of.get(edge.name)?.lag_bytes ?? 0];
  const ordered = [...edges].sort((a, b) => late(b)[0] - late(a)[0] || late(b)[1] - late(a)[1] || a.name.localeCompare(b.name));
  fill(at("edges"), ordered.map((edge) => {
    const window = of.get(edge.name);
    return [
      edge.name,
      element("span", { class: edge.silent_s ? "bad" : null, "data-state": true }, stateOf(edge, windows)),
      window ? (window.lag_bytes ? `${size(window.lag_bytes)}, ${duration(window.lag_s)}` : "nothing") : "–",
      window ? `${count(window.in_flight_batches, "batch", "batches")}, ${size(window.in_flight_bytes)}` : "–",
      window ? element("span", { class: window.window_ratio >= 1 ? "warn" : "" }, `${number(100 * window.window_ratio)} %`) : "–",
      number(edge.sources), ago(edge.last_commit, now), edge.last_seen ? ago(edge.last_seen, now) : "–",
    ];
  }), "No edge has sent anything yet.");
  at("edges-count").textContent = silent.length ? `${number(silent.length)} silent of ${number(edges.length)}` : number(edges.length);
}

// An edge says through the broker that it is at work.
function stateOf(edge, windows) {
  if (!windows || isAway("broker") || (isAway("a broker") && !edge.last_seen)) return "unknown";
  return edge.silent_s ? `silent for ${duration(edge.silent_s)}` : edge.last_seen ? "at work" : "does not stream now";
}

function drawClusters(clusters) {
  fill(at("clusters"), clusters.map((cluster) => [
    cluster.cluster, number(cluster.rows_per_s), number(cluster.batches), `${number(cluster.latency_p50_s)} s`, `${number(cluster.latency_p99_s)} s`,
  ]), "Nothing was committed in the last minute.");
}

function drawGaps(gaps) {
  const mend = (path) => element("span", { class: "prose" }, "Its streamer closes a gap: see that it runs. Or, where the file is: ", element("code", {}, `telemetry ingest ${path}`));
  fill(at("gaps"), (gaps ?? []).map((gap) => [
    gap.edge, gap.path, `${number(gap.start)} to ${number(gap.end)}`, clock(gap.since), mend(gap.path),
  ]), gaps ? "None." : "They cannot be looked for now.");
  at("gaps-count").textContent = gaps?.length ? number(gaps.length) : "";
}

function drawSources(sources, now) {
  const newest = [...sources].sort((a, b) => (b.last_commit ?? "").localeCompare(a.last_commit ?? ""));
  fill(at("sources"), newest.slice(0, SHOWN).map((source) => [
    source.path, source.edge, source.format,
    ...["rows", "stored", "duplicate", "conflict", "blank"].map((name) => number(source[name])),
    element("span", { class: source.quarantined ? "warn" : "" }, number(source.quarantined)), number(source.expired), ago(source.last_commit, now),
  ]), "No file has been read yet.");
  at("sources-count").textContent = sources.length > SHOWN ? `the newest ${SHOWN} of ${number(sources.length)}` : number(sources.length);
}

const readNow = repeat(READ_MS, read);
at("letters").addEventListener("click", ({ target }) => {
  const { retry, drop } = target.dataset;
  if (retry) change(Number(retry), () => store(retry));
  if (drop && confirm(`Drop dead letter ${drop} for good? Its rows will not be stored.`)) change(Number(drop), () => post(`/api/v1/dead-letters/${drop}/drop`));
});

// Do something about a letter, and say what is wrong with it until it is tried again.
async function change(id, work) {
  retries.set(id, "");
  readNow();
  try {
    await work();
    retries.delete(id);
  } catch (error) {
    retries.set(id, error.message);
  }
  readNow();
}

async function store(id) {
  const { document: answer } = await post(`/api/v1/dead-letters/${id}/retry`, RETRY_MS);
  if (answer.status === "queued") throw new Error("It waits for a collector, and stays here until one has stored it. Press again to see what became of it.");
}

watchHealth((health) => {
  const brokers = health.brokers ? Object.entries(health.brokers).map(([name, state]) => [`broker ${name}`, state]) : [["broker", health.broker]];
  fill(at("parts"), [["database", health.database], ...brokers].map(([part, { status, mend, since }]) => {
    const state = status === "ok" ? "ok" : element("span", { class: "bad" }, since ? `${status} since ${new Date(since).toLocaleTimeString("en-GB")}` : status);
    return [part, state, mend ?? "–"];
  }), "");
  // What was read before the broker went says nothing of now.
  if (isAway("broker")) for (const state of document.querySelectorAll("[data-state]")) Object.assign(state, { textContent: "unknown", className: "" });
});
