// The page of data: files are sent, and what was read of them and what was not.

import { get } from "./api.js";
import { at, element, fill, refill } from "./draw.js";
import { repeat, watchHealth } from "./pulse.js";
import { forget, keep, kept } from "./waiting.js";
import { clock, number, size } from "./words.js";

const READ_MS = 1000;
const QUARANTINE_MS = 5000;
const SHOWN = 50;
// So many uploads are asked about at once, the oldest first: they are read in this order, and an API may limit questions.
const FOLLOWED = 10;
// These answers ask for a little patience; this long where they do not say how long.
const LATER = [429, 503];
const LATER_S = 5;
// Whose streamer reads what is sent.
const EDGE = "central/uploads";
// What the tab remembers, so that another view may be looked at meanwhile.
const KEPT = "telemetry-uploads";

const sent = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
const waiting = [];
let isSending = false;

function draw() {
  fill(at("uploads"), sent.map(cells), "No file yet.");
  count();
}

// Progress comes often, and there may be thousands of files: only the row of one of them is drawn.
function drawOne(upload) {
  const row = at("uploads").tBodies[0].rows[sent.indexOf(upload)];
  if (row) refill(row, element("tr", {}, ...cells(upload).map((cell) => element("td", {}, cell))));
}

function cells(upload) {
  return [
    upload.name, progress(upload), element("span", { class: "prose" }, mend(upload)),
    ...["rows_read", "stored", "duplicate", "conflict", "blank", "quarantined", "expired"].map((name) => number(upload.state?.[name])),
  ];
}

function count() {
  const under = sent.filter((upload) => !isOver(upload)).length;
  at("uploads-count").textContent = sent.length ? `${number(sent.length - under)} of ${number(sent.length)} done` : "";
}

function progress({ error, part, url, state, bytes, isLater }) {
  if (error) return element("span", { class: "bad" }, url ? "cannot be followed" : "refused");
  if (isLater) return "waiting for a place";
  const [words, share] = url ? [state ? state.state : "waiting", state ? state.committed_bytes / state.size_bytes : 0] : ["sending", part ?? 0];
  if (words === "done") return `done, ${size(bytes)}`;
  return element("label", {}, `${words} `, element("progress", { value: share, max: 1 }), ` ${number(100 * share)} %`);
}

function mend({ error, state }) {
  if (error) return error;
  if (!state) return "–";
  if (state.state === "removed") return "The file was removed before it was read. Send it again.";
  if (state.dead_batches) return "Some of it cannot be stored: see the dead letters of the pipeline.";
  if (state.expired) return `${number(state.expired)} readings are older than what is kept, and not stored. Keep the file.`;
  if (state.quarantined) return "Some rows cannot be read: see below.";
  if (state.expired) return "Some readings are older than what is kept, so they are not stored.";
  if (state.state === "done" && !state.rows) return "Nothing: all of it was known already.";
  if (state.conflict) return "Some rows say another value than what is stored; the first one stays.";
  return "–";
}

function isOver({ error, state }) {
  return Boolean(error) || ["done", "removed"].includes(state?.state);
}

// One file after the other: together they would not be faster.
async function sendAll() {
  if (isSending) return;
  isSending = true;
  while (waiting.length) {
    const { file, upload, id } = waiting[0];
    for (let laterS = await send(file, upload); laterS; laterS = await send(file, upload)) {
      upload.isLater = true;
      drawOne(upload);
      await new Promise((resolve) => setTimeout(resolve, 1000 * laterS));
      Object.assign(upload, { isLater: false, part: 0 });
      drawOne(upload);
    }
    waiting.shift();
    remember();
    drawOne(upload);
    count();
    Promise.resolve(id).then(forget);
  }
  isSending = false;
}

function remember() {
  sessionStorage.setItem(KEPT, JSON.stringify(sent.filter(({ url, error }) => url || error)));
}

// Resolves to the seconds after which it is to be sent again, 0 if it is not.
// Only XMLHttpRequest tells how much of a body is sent. The browser adds cookie and Origin, by which the API knows this page.
function send(file, upload) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v1/telemetry");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      upload.part = total ? loaded / total : 0;
      drawOne(upload);
    });
    request.addEventListener("loadend", () => {
      const answer = parsed(request.responseText);
      if (LATER.includes(request.status)) return resolve(Number(request.getResponseHeader("Retry-After")) || LATER_S);
      if (request.status === 202) upload.url = answer.url;
      else upload.error = refusal(request.status, answer);
      resolve(0);
    });
    request.send(file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function refusal(status, { code, detail }) {
  if (code === "forbidden") return `${detail}. Log out, and log in with a key that may: telemetry apikey create NAME --scope read --scope ingest`;
  if (status === 401) return "Log in again: this key is no longer valid.";
  return detail ?? (status ? `The API answers ${status}.` : "The API does not answer. Send the file again.");
}

function take(files) {
  for (const file of files) add(file, keep(file));
  draw();
  sendAll();
}

// `id` is that of the file among those that the browser keeps, or a promise of it.
function add(file, id) {
  const upload = { name: file.name, bytes: file.size };
  sent.unshift(upload);
  waiting.push({ file, upload, id });
}

async function follow() {
  const open = sent.filter((upload) => upload.url && !isOver(upload)).slice(-FOLLOWED);
  const answers = await Promise.allSettled(open.map(state));
  open.forEach(drawOne);
  if (open.length) {
    remember();
    count();
  }
  const failed = answers.find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
}

// One that is gone, or that the key may not see, is over; of any other trouble it is asked again.
async function state(upload) {
  try {
    upload.state = (await get(upload.url)).document;
  } catch (problem) {
    if (![403, 404].includes(problem.status)) throw problem;
    upload.error = problem.message;
  }
}

// A file that this tab sent is known by its own name, others by that in the spool directory.
function named(path) {
  const file = path.split("/").at(-1);
  return sent.find(({ url }) => url && file.startsWith(url.split("/").at(-1)))?.name ?? file;
}

draw();
kept().then((files) => {
  for (const { id, file } of files) add(file, id);
  draw();
  sendAll();
});
repeat(READ_MS, follow);
repeat(QUARANTINE_MS, async () => {
  const asked = [["edge", EDGE], ["since", "-1d"], ["order", "desc"], ["limit", SHOWN]];
  const { items, next_cursor: more } = (await get("/api/v1/quarantine", asked)).document;
  fill(at("quarantine"), items.map(({ path, line, reason, raw, quarantined_at: since }) => [
    element("span", { title: path }, named(path)), number(line), reason, element("code", {}, raw.slice(0, 200)), clock(since),
  ]), "None since yesterday.");
  at("quarantine-count").textContent = more === null ? number(items.length) : `the newest ${SHOWN}`;
});
watchHealth();

function takeChosen() {
  take([...at("files").files]);
  at("files").value = "";
}

at("files").addEventListener("change", takeChosen);
// Files may have been chosen before this script came.
if (at("files").files.length) takeChosen();
// What is being sent would begin anew, and nothing is sent while the page is away.
addEventListener("beforeunload", (event) => {
  if (waiting.length) event.preventDefault();
});
at("send").addEventListener("submit", (event) => event.preventDefault());
// What is dropped beside the field would replace the page.
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
document.addEventListener("dragover", () => at("send").classList.add("over"));
document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? at("send").classList.remove("over"));
document.addEventListener("drop", ({ dataTransfer }) => {
  at("send").classList.remove("over");
  take([...dataTransfer.files]);
});
