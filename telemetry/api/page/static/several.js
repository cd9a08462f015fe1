// Charts in which each of several GPUs has a line: on the page of a host, and of a job.

import { all } from "./api.js";
import { Chart, lineClass } from "./chart.js";
import { at, element } from "./draw.js";
import { lines } from "./history.js";
import { gpuName } from "./words.js";

const METRICS = ["GPU_UTIL", "FB_USED", "GPU_TEMP", "POWER_USAGE"].map((name) => `DCGM_FI_DEV_${name}`);
// More lines than these cannot be told apart.
const MOST = 16;

/** The charts, drawn at `#charts` with their legend at `#lines`. */
export class Several {
  #charts = new Map();
  #known = null;

  constructor(onZoom) {
    this.onZoom = onZoom;
  }

  /** Draw what filters leave between two times. Returns how many GPUs have no line, as there are too many. */
  async show(filters, from, to) {
    const { items } = this.#known ? { items: this.#known } : await all("/api/v1/metrics");
    this.#known = METRICS.map((metric) => items.find(({ name }) => name === metric)).filter(Boolean);
    const drawn = await Promise.all(this.#known.map(async (metric) => ({ metric, of: await lines(metric.name, filters, from, to) })));
    const gpus = new Map(drawn.flatMap(({ of }) => of.map((line) => [line.gpu, line])));
    const shown = [...gpus.keys()].slice(0, MOST);
    for (const { metric, of } of drawn) {
      const [first, ...others] = shown.map((gpu) => ({ name: gpuName(gpus.get(gpu)), points: of.find((line) => line.gpu === gpu)?.points ?? [] }));
      if (first) this.#chart(metric).show(first.points, from, to, { name: first.name, others });
    }
    const places = shown.length ? this.#known.map((metric) => this.#chart(metric).place) : [element("p", { class: "quiet" }, "No readings in this span.")];
    // A chart that stays keeps the focus.
    if (places.some((place, number) => at("charts").children[number] !== place)) at("charts").replaceChildren(...places);
    at("charts").removeAttribute("aria-busy");
    at("lines").replaceChildren(...shown.map((gpu, number) => element("li", { class: lineClass(number) }, gpuName(gpus.get(gpu)))));
    return gpus.size - shown.length;
  }

  #chart(metric) {
    if (!this.#charts.has(metric.name)) this.#charts.set(metric.name, new Chart(metric, this.onZoom));
    return this.#charts.get(metric.name);
  }
}
