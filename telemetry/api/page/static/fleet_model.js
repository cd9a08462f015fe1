// The fleet as it was read last: which GPUs there are, their values, health, and who holds them. Nothing is drawn here.

import { all } from "./api.js";
import { illness, parts } from "./words.js";

// States in which something is wrong with a GPU that reports.
const ILL = ["faulty", "degraded"];
export const UTILISATION = "DCGM_FI_DEV_GPU_UTIL";
const IDLE_PERCENT = 5;
// Readings of one scrape may have different times.
const HELD_WITHIN_S = 120;
// A label of the readings of a MIG instance.
const MIG = "GPU_I_ID";

// A namespace alone holds nothing.
const isHolder = ({ pod, job, user }) => Boolean(pod ?? job ?? user);

/** The fleet. `gpus` is by id, in the order host, index. */
export class Fleet {
  gpus = new Map();
  metrics = [];
  reporting = new Set();
  /** The time by the server's clock at its last answer: what is silent was so then. */
  now = new Date();
  /** After how long without a reading a GPU is silent; the centre's rules of health say it. */
  silentAfterS = Infinity;

  #stock = null;
  #answeredMs = performance.now();
  // The answers that were read last, page by page.
  #read = [];

  /** The time by the server's clock as it goes on, whether the server answers or not. */
  get clock() {
    return new Date(this.now.getTime() + performance.now() - this.#answeredMs);
  }

  #note(now) {
    this.now = now;
    this.#answeredMs = performance.now();
  }

  /** Ask which GPUs and metrics there are; whoever asks meanwhile waits for the same answer. */
  takeStock() {
    this.#stock ??= this.#take().finally(() => (this.#stock = null));
    return this.#stock;
  }

  async #take() {
    const [{ items: gpus, now, document: about }, { items: metrics }] = await Promise.all([all("/api/v1/gpus"), all("/api/v1/metrics")]);
    this.metrics = metrics;
    this.#note(now);
    this.silentAfterS = about.silent_after_s;
    // Of a GPU without the metrics that are asked for here, only this tells that it reports.
    this.reporting = new Set(gpus.filter(({ silent_for_s: age_s }) => age_s !== null && age_s < about.silent_after_s).map(({ id }) => id));
    const old = this.gpus;
    this.gpus = new Map(gpus.map((gpu) => [gpu.id, { readings: new Map(), owner: {}, reasons: [], ...old.get(gpu.id), ...gpu }]));
  }

  /** Ask how the GPUs are, and why. */
  async judge() {
    const { items, now } = await all("/api/v1/health");
    this.#note(now);
    for (const { gpu: id, state, since, reasons } of items) {
      const gpu = this.gpus.get(id);
      if (gpu) Object.assign(gpu, { state, since, reasons });
    }
  }

  /** Ask for the latest readings of some metrics. Returns whether they are others than those of the last time. */
  async read(metrics) {
    const names = this.metrics.map(({ name }) => name);
    const asked = [...new Set(metrics)].filter((metric) => names.includes(metric));
    if (!asked.length) return true;
    const { documents, now } = await all("/api/v1/latest", [...asked.map((metric) => ["metric", metric]), ["max_age", `${Math.round(this.silentAfterS)}s`]]);
    this.#note(now);
    const isNew = documents.length !== this.#read.length || documents.some((document, place) => document !== this.#read[place]);
    this.#read = documents;
    if (isNew) for (const { items } of documents) for (const reading of items) this.#keep(reading);
    return isNew;
  }

  /** A GPU and metric may have several series, such as those of MIG instances: that of the whole GPU counts, and the newest. */
  #keep(reading) {
    const gpu = this.gpus.get(reading.gpu);
    if (!gpu) return;
    const before = gpu.readings.get(reading.metric);
    if (!gpu.seen || gpu.seen < reading.timestamp) gpu.seen = reading.timestamp;
    const owner = parts(reading.owner);
    // Two sources may tell of a GPU, of which one knows no owners.
    if (isHolder(owner) && (!gpu.owner.at || gpu.owner.at <= reading.timestamp)) gpu.owner = { ...owner, at: reading.timestamp };
    const isOfPart = ({ labels }) => MIG in labels;
    if (before && (isOfPart(before) === isOfPart(reading) ? before.timestamp > reading.timestamp : isOfPart(reading))) return;
    gpu.readings.set(reading.metric, reading);
  }

  /** What a GPU is like now: its value of a metric, and all that the page tells of it. */
  look(gpu, metric) {
    const age = (time) => (time ? (this.now - Date.parse(time)) / 1000 : Infinity);
    const seen = gpu.seen ?? gpu.last_seen;
    const silent = !this.reporting.has(gpu.id) && age(seen) > this.silentAfterS;
    const value = (name) => {
      const reading = gpu.readings.get(name);
      return reading && age(reading.timestamp) <= this.silentAfterS ? reading.value : null;
    };
    const held = !silent && isHolder(gpu.owner) && age(gpu.owner.at) - age(seen) <= HELD_WITHIN_S;
    const used = value(UTILISATION);
    return {
      ...gpu,
      name: gpu.host === null || gpu.index === null ? gpu.id : `${gpu.host}:${gpu.index}`,
      seen,
      age_s: seen ? (this.clock - Date.parse(seen)) / 1000 : Infinity,
      silent,
      held,
      idle: held && used !== null && used < IDLE_PERCENT,
      value: value(metric),
      unit: gpu.readings.get(metric)?.unit,
      ill: ILL.includes(gpu.state) || illness(gpu) !== null,
    };
  }

  /** All GPUs as they are now. */
  looks(metric) {
    return [...this.gpus.values()].map((gpu) => this.look(gpu, metric));
  }
}
