// Asks again and again while the page can be seen, and says at the top what does not answer, since when, and what to do.

import { get } from "./api.js";
import { at } from "./draw.js";
import { clock } from "./words.js";

const HEALTH_MS = 2000;
const HEALTH_PATIENCE_MS = 4000;
const since = new Map();

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
    const { document: health } = await get("/health", [], HEALTH_PATIENCE_MS);
    for (const part of ["database", "broker"]) {
      const { status, mend } = health[part];
      report(part, status === "ok" ? null : `The ${part} is ${status}${mend ? `: ${mend}` : ""}`);
    }
    show(health);
  });
}

function report(what, trouble) {
  if (trouble === null) since.delete(what);
  else if (!since.has(what) || since.get(what).trouble !== trouble) {
    since.set(what, { trouble, from: since.get(what)?.from ?? new Date() });
  }
  // One line each: the same trouble hits several questions.
  const lines = new Map([...since.values()].map(({ trouble, from }) => [trouble, from]));
  const place = at("trouble");
  place.hidden = lines.size === 0;
  const text = [...lines].map(([trouble, from]) => `${trouble} (since ${clock(from)}; it is asked again by itself)`).join("\n");
  if (place.textContent !== text) place.textContent = text;
}
