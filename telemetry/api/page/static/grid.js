// A cell for each GPU, grouped by host. Cells are kept from one drawing to the next; only what changed is touched. While somebody
// points at a cell, or one has the focus, all stay where they are: what is clicked is what was aimed at.

import { colour } from "./colours.js";
import { element } from "./draw.js";
import { ago, quantity, short, state, whose } from "./words.js";

// Of GPUs in the order of their values so many say their name and value.
const NAMED = 50;

/** The grid in `place`; `about` shows the GPU under the pointer or the focus. `onRelease()` is called once nobody points at it. */
export class Grid {
  #cells = new Map();
  #texts = new Map();
  #order = "";
  #choice = "";
  #placed = new Set();
  #named = new Set();
  #isPointedAt = false;

  constructor(place, about, onRelease) {
    this.place = place;
    for (const kind of ["pointerover", "focusin"]) {
      place.addEventListener(kind, ({ target }) => {
        const cell = target.closest?.(".cell");
        if (cell) about.textContent = this.#texts.get(cell.dataset.gpu);
      });
    }
    place.addEventListener("pointerenter", () => (this.#isPointedAt = true));
    place.addEventListener("pointerleave", () => {
      this.#isPointedAt = false;
      onRelease();
    });
    place.addEventListener("focusout", () => setTimeout(() => this.isHeld || onRelease()));
  }

  /** Whether the cells stay where they are. */
  get isHeld() {
    return this.#isPointedAt || this.place.contains(document.activeElement);
  }

  /** Draw those of all GPUs that are shown: coloured by their value within a span, in the order that was chosen. */
  draw(all, isShown, span, chosen, now) {
    const { metric, sort } = chosen;
    const choice = JSON.stringify(chosen);
    if (this.isHeld && choice === this.#choice) {
      for (const gpu of all) if (this.#placed.has(gpu.id)) this.#paint(gpu, span, metric, now);
      return;
    }
    this.#choice = choice;
    const gpus = all.filter(isShown);
    // Where there is no value there is none to compare: those come last.
    const last = sort === "high" ? -Infinity : Infinity;
    const compare = (a, b) => (sort === "high" ? (b.value ?? last) - (a.value ?? last) : (a.value ?? last) - (b.value ?? last)) || 0;
    const ordered = sort === "host" ? gpus : [...gpus].sort(compare);
    this.#named = new Set(sort === "host" ? [] : ordered.slice(0, NAMED).map(({ id }) => id));
    for (const gpu of gpus) this.#paint(gpu, span, metric, now);
    const order = sort + ordered.map(({ id }) => id).join();
    if (order === this.#order) return;
    this.#order = order;
    this.#placed = new Set(ordered.map(({ id }) => id));
    this.place.replaceChildren(...(sort === "host" ? this.#byHost(ordered) : ordered.map(({ id }) => this.#cells.get(id))));
  }

  #paint(gpu, span, metric, now) {
    let cell = this.#cells.get(gpu.id);
    if (!cell) {
      cell = element("a", { href: `/gpus/${encodeURIComponent(gpu.id)}`, "data-gpu": gpu.id });
      this.#cells.set(gpu.id, cell);
    }
    const isNamed = this.#named.has(gpu.id);
    const kind = ["cell", gpu.silent ? "silent" : colour(gpu.value, span), gpu.ill ? "fault" : "", isNamed ? "named" : ""].filter(Boolean).join(" ");
    if (cell.className !== kind) cell.className = kind;
    const value = gpu.silent ? "silent" : quantity(gpu.value, gpu.unit);
    const glyph = isNamed ? `${gpu.ill ? "! " : ""}${gpu.name} ${value}` : gpu.ill ? "!" : String(gpu.index ?? "·");
    if (cell.textContent !== glyph) cell.textContent = glyph;
    const holder = gpu.held ? `held by ${whose(gpu.owner)}` : "";
    const now_ = gpu.silent ? `${state(gpu)}, last reading ${ago(gpu.seen, now)}` : `${short(metric)} ${value}`;
    const words = [gpu.name, gpu.model, now_, holder, ...gpu.reasons.filter(({ rule }) => rule !== "silent").map(({ says }) => says)].filter(Boolean).join(" · ");
    this.#texts.set(gpu.id, words);
    if (cell.getAttribute("aria-label") !== words) cell.setAttribute("aria-label", words);
  }

  #byHost(gpus) {
    const hosts = new Map();
    for (const { host, id } of gpus) hosts.set(host, [...(hosts.get(host) ?? []), this.#cells.get(id)]);
    const name = (host) => (host === null ? "no host" : element("a", { href: `/hosts/${encodeURIComponent(host)}` }, host));
    return [...hosts].map(([host, cells]) => element("section", { class: "host" }, element("h3", {}, name(host)), element("div", { class: "cells" }, ...cells)));
  }
}
