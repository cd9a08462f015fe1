// The fleet as it was read last: which GPUs there are, their values, faults, and who holds them. Nothing is drawn here.

import { all } from "./api.js";
import { METRICS, faults, isOfGpu } from "./faults.js";

export const SILENT_AFTER_S = 600;
export const UTILISATION = "DCGM_FI_DEV_GPU_UTIL";
const IDLE_PERCENT = 5;

/** The fleet. `gpus` is by id, in the order host, index. */
export class Fleet {
  gpus = new Map();
  metrics = [];
  now = new Date();

  #stock = null;

  /** Ask which GPUs and metrics there are; whoever asks meanwhile waits for the same answer. */
  takeStock() {
    this.#stock ??= this.#take().finally(() => (this.#stock = null));
    return this.#stock;
  }

  async #take() {
    const [{ items: gpus, now }, { items: metrics }] = await Promise.all([all("/api/v1/gpus"), all("/api/v1/metrics")]);
    this.metrics = metrics;
    this.now = now;
    const old = this.gpus;
    this.gpus = new Map(gpus.map((gpu) => [gpu.id, { readings: new Map(), owner: {}, ...old.get(gpu.id), ...gpu }]));
  }

  /** Ask for the latest readings of some metrics. */
  async read(metrics) {
    const names = this.metrics.map(({ name }) => name);
    const asked = [...new Set(metrics)].filter((metric) => names.includes(metric));
    if (!asked.length) return;
    const { items, now } = await all("/api/v1/latest", asked.map((metric) => ["metric", metric]));
    this.now = now;
    for (const reading of items) this.#keep(reading);
  }

  /** A GPU and metric may have several series, such as those of MIG instances: the newest reading counts. */
  #keep(reading) {
    const gpu = this.gpus.get(reading.gpu);
    if (!gpu) return;
    const before = gpu.readings.get(reading.metric);
    if (before && before.timestamp > reading.timestamp) return;
    gpu.readings.set(reading.metric, reading);
    if (!gpu.seen || gpu.seen <= reading.timestamp) {
      gpu.seen = reading.timestamp;
      gpu.owner = { namespace: reading.owner.namespace, pod: reading.owner.pod };
    }
  }

  /** What a GPU is like now: its value of a metric, and all that the page tells of it. */
  look(gpu, metric) {
    const seen = gpu.seen ?? gpu.last_seen;
    const age_s = seen ? (this.now - new Date(seen)) / 1000 : Infinity;
    const silent = age_s > SILENT_AFTER_S;
    const reading = gpu.readings.get(metric);
    const used = gpu.readings.get(UTILISATION)?.value;
    const told = METRICS.flatMap((name) => (gpu.readings.has(name) ? faults(gpu.readings.get(name)) : []));
    const held = !silent && Boolean(gpu.owner.pod);
    return {
      ...gpu,
      seen,
      name: gpu.host === null || gpu.index === null ? gpu.id : `${gpu.host}:${gpu.index}`,
      age_s,
      silent,
      held,
      idle: held && used !== undefined && used < IDLE_PERCENT,
      value: silent ? null : (reading?.value ?? null),
      unit: reading?.unit,
      faults: told.sort((a, b) => a.rank - b.rank),
      ill: told.some(isOfGpu),
    };
  }

  /** All GPUs as they are now. */
  looks(metric) {
    return [...this.gpus.values()].map((gpu) => this.look(gpu, metric));
  }
}
