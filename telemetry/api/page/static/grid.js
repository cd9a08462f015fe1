// A cell for each GPU, grouped by host. Cells are kept from one drawing to the next; only what changed is touched.

import { colour } from "./colours.js";
import { element } from "./draw.js";
import { ago, quantity, short, whose } from "./words.js";

/** The grid in `place`; `about` shows the GPU under the pointer or the focus. */
export class Grid {
  #cells = new Map();
  #texts = new Map();
  #order = "";

  constructor(place, about) {
    this.place = place;
    for (const kind of ["pointerover", "focusin"]) {
      place.addEventListener(kind, ({ target }) => {
        const cell = target.closest?.(".cell");
        if (cell) about.textContent = this.#texts.get(cell.dataset.gpu);
      });
    }
  }

  /** Draw some GPUs: coloured by their value within a span, in the order that was chosen. */
  draw(gpus, span, { metric, sort }, now) {
    for (const gpu of gpus) this.#paint(gpu, span, metric, now);
    // Where there is no value there is none to compare: those come last.
    const last = sort === "high" ? -Infinity : Infinity;
    const compare = (a, b) => (sort === "high" ? (b.value ?? last) - (a.value ?? last) : (a.value ?? last) - (b.value ?? last)) || 0;
    const ordered = sort === "host" ? gpus : [...gpus].sort(compare);
    const order = sort + ordered.map(({ id }) => id).join();
    if (order === this.#order) return;
    this.#order = order;
    this.place.replaceChildren(...(sort === "host" ? this.#byHost(ordered) : ordered.map(({ id }) => this.#cells.get(id))));
  }

  #paint(gpu, span, metric, now) {
    let cell = this.#cells.get(gpu.id);
    if (!cell) {
      cell = element("a", { href: `/gpus/${encodeURIComponent(gpu.id)}`, "data-gpu": gpu.id });
      this.#cells.set(gpu.id, cell);
    }
    const kind = ["cell", gpu.silent ? "silent" : colour(gpu.value, span), gpu.ill ? "fault" : ""].join(" ").trim();
    if (cell.className !== kind) cell.className = kind;
    const glyph = gpu.ill ? "!" : String(gpu.index ?? "·");
    if (cell.textContent !== glyph) cell.textContent = glyph;
    const holder = gpu.held ? `held by ${whose(gpu.owner)}` : "";
    const state = gpu.silent ? `silent, last reading ${ago(gpu.seen, now)}` : `${short(metric)} ${quantity(gpu.value, gpu.unit)}`;
    const words = [gpu.name, gpu.model, state, holder, ...gpu.reasons.filter(({ rule }) => rule !== "silent").map(({ says }) => says)].filter(Boolean).join(" · ");
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
