// One chart: a line over time, with the band between the smallest and the largest value of each step where readings are many.

import { element } from "./draw.js";
import { clock, number, quantity } from "./words.js";

const HEIGHT = 150;
const LEFT = 48;
const BOTTOM = 20;
const STEPS_S = [1, 5, 15, 60, 300, 900, 3600, 10800, 21600, 43200, 86400, 172800, 604800];
const DAY_S = 86400;

// A pause is two and a half times as long as what usually lies between two points.
function gap(points) {
  const distances = points.slice(1).map(({ at }, number) => at - points[number].at).sort((a, b) => a - b);
  return distances.length ? 2.5 * distances[Math.floor(distances.length / 2)] : 0;
}

// Times on the axis: whole steps of the reader's own clock, whose days may have another length.
function* ticks(from, to, step_s) {
  const at = new Date(from);
  at.setHours(0, 0, 0, 0);
  while (at < to) {
    if (at >= from) yield at.getTime();
    if (step_s >= DAY_S) at.setDate(at.getDate() + step_s / DAY_S);
    else at.setTime(at.getTime() + step_s * 1000);
  }
}

/** A chart of a metric. `onZoom(from, to)` is called with the span that was dragged over. */
export class Chart {
  #points = [];
  #cursor = null;
  #drag = null;

  constructor(title, unit, onZoom) {
    this.title = title;
    this.unit = unit;
    this.canvas = element("canvas", { tabindex: 0, role: "img" });
    this.readout = element("output", { class: "quiet" });
    this.place = element("figure", { class: "chart" }, element("figcaption", {}, element("strong", {}, title), " ", this.readout), this.canvas);
    this.#listen(onZoom);
    new ResizeObserver(() => this.#paint()).observe(this.canvas);
  }

  /** Show points [{at, value, low, high}] (ms, ordered) between two times. A pause is left open. */
  show(points, from, to, marks = []) {
    Object.assign(this, { from, to, marks });
    this.#points = points;
    this.gapMs = gap(points);
    const known = points.filter(({ value }) => value !== null);
    const last = known.at(-1);
    const low = known.reduce((least, { low, value }) => Math.min(least, low ?? value), Infinity);
    const high = known.reduce((most, { high, value }) => Math.max(most, high ?? value), -Infinity);
    this.low = known.length ? Math.min(0, low) : 0;
    // A counter has come far from 0, where its line would be flat.
    if (low > 0 && high - low < high / 1000) this.low = low;
    this.high = known.length && high > this.low ? high + (high - this.low) * 0.05 : this.low + 1;
    const about = last ? `${quantity(low, this.unit)} to ${quantity(high, this.unit)}, last ${quantity(last.value, this.unit)}` : "no readings in this span";
    this.canvas.setAttribute("aria-label", `${this.title}: ${about}`);
    this.about = last ? `last ${quantity(last.value, this.unit)} at ${clock(last.at)}` : "no readings in this span";
    this.#paint();
  }

  #listen(onZoom) {
    const timeAt = (event) => this.from + ((event.offsetX - LEFT) / (this.canvas.clientWidth - LEFT)) * (this.to - this.from);
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.#drag = timeAt(event);
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => this.#point(timeAt(event)));
    this.canvas.addEventListener("pointerleave", () => this.#point(null));
    this.canvas.addEventListener("pointerup", (event) => {
      const [from, to] = [this.#drag, timeAt(event)].sort((a, b) => a - b);
      const dragged = this.#drag !== null;
      this.#drag = null;
      if (dragged && (to - from) / (this.to - this.from) > 0.01) onZoom(from, to);
    });
    this.canvas.addEventListener("pointercancel", () => (this.#drag = null));
    this.canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!steps || !this.#points.length) return;
      event.preventDefault();
      const here = this.#points.indexOf(this.#nearest(this.#cursor ?? this.to));
      this.#point(this.#points[Math.max(0, Math.min(this.#points.length - 1, here + steps))].at);
    });
  }

  #nearest(time) {
    return this.#points.reduce((best, point) => (Math.abs(point.at - time) < Math.abs(best.at - time) ? point : best), this.#points[0]);
  }

  #point(time) {
    this.#cursor = time;
    this.#paint();
  }

  #paint() {
    const [width, ratio] = [this.canvas.clientWidth, devicePixelRatio];
    if (!width || this.from === undefined) return;
    this.canvas.width = width * ratio;
    this.canvas.height = HEIGHT * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name);
    const x = (at) => LEFT + ((at - this.from) / (this.to - this.from)) * (width - LEFT);
    const y = (value) => HEIGHT - BOTTOM - ((value - this.low) / (this.high - this.low)) * (HEIGHT - BOTTOM - 8);
    pen.font = style.font;
    this.#axes(pen, width, x, y, colour);
    for (const stretch of this.#stretches()) this.#line(pen, stretch, x, y, colour("--line"));
    pen.fillStyle = colour("--bad");
    for (const { at } of this.marks) pen.fillRect(x(at) - 1, 4, 2, HEIGHT - BOTTOM - 4);
    const point = this.#cursor !== null && this.#points.length ? this.#nearest(this.#cursor) : null;
    if (point) {
      pen.fillStyle = colour("--text");
      pen.fillRect(x(point.at), 4, 1, HEIGHT - BOTTOM - 4);
      if (this.#drag !== null) {
        pen.globalAlpha = 0.15;
        pen.fillRect(Math.min(x(this.#drag), x(this.#cursor)), 4, Math.abs(x(this.#cursor) - x(this.#drag)), HEIGHT - BOTTOM - 4);
        pen.globalAlpha = 1;
      }
    }
    this.readout.textContent = point ? `${quantity(point.value, this.unit)} at ${clock(point.at)}` : this.about;
  }

  #axes(pen, width, x, y, colour) {
    pen.fillStyle = colour("--quiet");
    pen.strokeStyle = colour("--rule");
    pen.textAlign = "right";
    for (const value of [this.low, (this.low + this.high) / 2, this.high]) {
      pen.strokeRect(LEFT, Math.round(y(value)) + 0.5, width - LEFT, 0);
      pen.fillText(number(value), LEFT - 6, y(value) + 4);
    }
    pen.textAlign = "center";
    const step = STEPS_S.find((each) => (this.to - this.from) / 1000 / each <= width / 110) ?? STEPS_S.at(-1);
    for (const at of ticks(this.from, this.to, step)) {
      const [date, time] = [new Date(at).toLocaleDateString("en-CA").slice(5), new Date(at).toLocaleTimeString("en-GB")];
      const text = step >= DAY_S ? date : time.slice(0, step < 60 ? 8 : 5);
      if (x(at) > LEFT + 20 && x(at) < width - 20) pen.fillText(text, x(at), HEIGHT - 5);
    }
  }

  #stretches() {
    const stretches = [];
    let before = null;
    for (const point of this.#points) {
      if (point.value === null) before = null;
      else if (before === null || point.at - before > this.gapMs) stretches.push([point]);
      else stretches.at(-1).push(point);
      before = point.value === null ? null : point.at;
    }
    return stretches;
  }

  #line(pen, stretch, x, y, colour) {
    pen.strokeStyle = pen.fillStyle = colour;
    if (stretch[0].low !== undefined) {
      pen.globalAlpha = 0.2;
      pen.beginPath();
      for (const { at, high } of stretch) pen.lineTo(x(at), y(high));
      for (const { at, low } of [...stretch].reverse()) pen.lineTo(x(at), y(low));
      pen.fill();
      pen.globalAlpha = 1;
    }
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const { at, value } of stretch) pen.lineTo(x(at), y(value));
    pen.stroke();
    if (stretch.length === 1) pen.fillRect(x(stretch[0].at) - 1.5, y(stretch[0].value) - 1.5, 3, 3);
    pen.lineWidth = 1;
  }
}
