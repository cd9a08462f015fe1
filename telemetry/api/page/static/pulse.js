// Asks again and again while the page can be seen, and says at the top what does not answer, since when, and what to do. The
// document is marked with the parts that are away, `data-away`: what they told last is shown grey.

import { get } from "./api.js";
import { at } from "./draw.js";
import { clock } from "./words.js";

const HEALTH_MS = 2000;
const HEALTH_PATIENCE_MS = 4000;
const since = new Map();
// Since when a server is away, as it was said first: each process of the API has a time of its own.
const begun = new Map();
// The parts that may be away.
const PARTS = ["api", "database", "broker"];

/** Do something now and every `everyMs` while the page is visible. Returns a function that does it at once. */
export function repeat(everyMs, work) {
  let timer = null;
  let running = false;
  let again = false;
  async function run() {
    clearTimeout(timer);
    again = running;
    if (running) return;
    running = true;
    try {
      await work();
      report(work, null);
    } catch (error) {
      report(work, error.message);
    } finally {
      running = false;
      if (again) run();
      else if (!document.hidden) timer = setTimeout(run, everyMs);
    }
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : run()));
  run();
  return run;
}

/** Watch the servers, too. */
export function watchHealth(show = () => {}) {
  repeat(HEALTH_MS, async () => {
    const { document: health } = await get("/health", [], HEALTH_PATIENCE_MS).catch((problem) => {
      report("api", problem.message);
      throw problem;
    });
    report("api", null);
    for (const [name, state] of Object.entries({ ...health.brokers, database: health.database, broker: health.broker })) {
      if (state.status === "ok") begun.delete(name);
      else begun.set(name, (state.since = begun.get(name) ?? state.since));
    }
    const troubleOf = (part) => (health[part].status === "ok" ? null : `The ${part} is ${health[part].status}${health[part].mend ? `: ${health[part].mend}` : ""}`);
    report("database", troubleOf("database"), health.database.since);
    // Of several brokers one may be away alone: what the others tell is of now.
    const isPart = Object.values(health.brokers ?? {}).some(({ status }) => status === "ok");
    report("broker", isPart ? null : troubleOf("broker"), health.broker.since);
    report("a broker", isPart ? troubleOf("broker") : null, health.broker.since);
    show(health);
  });
}

/** Whether a part is away, as far as is known: api, database or broker; or `a broker` of several. */
export function isAway(part) {
  return since.has(part);
}

// What was away first stays so until it is back.
function report(what, trouble, from = null) {
  if (trouble === null) since.delete(what);
  else since.set(what, { trouble, from: since.get(what)?.from ?? new Date(from ?? Date.now()) });
  document.body.dataset.away = PARTS.filter(isAway).join(" ");
  // One line each: the same trouble hits several questions.
  const lines = new Map([...since.values()].sort((a, b) => b.from - a.from).map(({ trouble, from }) => [trouble, from]));
  const place = at("trouble");
  place.hidden = lines.size === 0;
  const text = [...lines].map(([trouble, from]) => `${trouble} (since ${clock(from)}; what is grey is from before; it is asked again by itself)`).join("\n");
  if (place.textContent !== text) place.textContent = text;
}
