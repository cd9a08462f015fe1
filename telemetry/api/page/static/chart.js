// One chart: a line over time, with the band between the smallest and the largest value of each step where readings are many,
// lines of others for comparison, events, and who had the GPU.

import { element } from "./draw.js";
import { clock, number, quantity, short } from "./words.js";

const HEIGHT = 150;
const LEFT = 54;
const BOTTOM = 20;
const STEPS_S = [1, 5, 15, 60, 300, 600, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800];
const DAY_S = 86400;
const STRIP = 4;
// Lines are told apart by their dashes, too.
const DASHES = [[], [6, 3], [2, 2], [9, 3, 2, 3], [4, 6], [12, 4], [2, 6], [9, 3, 2, 3, 2, 3]];

/** The class of the colour of the n-th line, whose sample in a legend it is, too. */
export function lineClass(number) {
  return `l${number % DASHES.length}`;
}

// A pause is two and a half times as long as what usually lies between two points.
function gap(points) {
  const distances = points.slice(1).map(({ at }, number) => at - points[number].at).sort((a, b) => a - b);
  return distances.length ? 2.5 * distances[Math.floor(distances.length / 2)] : 0;
}

// Points without a pause between them.
function stretches(points) {
  const [parts, gapMs] = [[], gap(points)];
  let before = null;
  for (const point of points) {
    if (point.value === null) before = null;
    else if (before === null || point.at - before > gapMs) parts.push([point]);
    else parts.at(-1).push(point);
    before = point.value === null ? null : point.at;
  }
  return parts;
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

function nearest(points, time) {
  return points.reduce((best, point) => (Math.abs(point.at - time) < Math.abs(best.at - time) ? point : best), points[0]);
}

// The value of a line at a time; none where it pauses.
function valueAt(points, time) {
  const point = points.length ? nearest(points, time) : null;
  return point && Math.abs(point.at - time) <= gap(points) ? point.value : null;
}

// The end of an axis: a round number at or above a value. A share ends at 100 %.
function top(value, unit) {
  if (unit === "%" && value <= 100) return 100;
  if (unit === "MiB" && value >= 1024) return 1024 * top(value / 1024);
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].find((each) => each * power >= value);
}

/** A chart of a metric {name, unit, kind}. `onZoom(from, to)` is called with the span that was dragged over. */
export class Chart {
  #points = [];
  #cursor = null;
  #drag = null;

  constructor({ name, unit, kind }, onZoom) {
    this.title = short(name);
    this.unit = unit;
    this.isCounter = kind === "counter";
    this.canvas = element("canvas", { tabindex: 0, role: "img" });
    this.readout = element("output", { class: "quiet" });
    this.place = element("figure", { class: "chart" }, element("figcaption", {}, element("strong", {}, this.title), " ", this.readout), this.canvas);
    this.#listen(onZoom);
    new ResizeObserver(() => this.#paint()).observe(this.canvas);
  }

  /**
   * Show points [{at, value, low, high}] (ms, ordered) between two times. A pause is left open. Beside them: `marks` [{at}] of
   * events, `held` [{from, to, who}], and lines of `others` [{name, points}]; the points' own name is `name`.
   */
  show(points, from, to, { marks = [], held = [], others = [], name = "" } = {}) {
    Object.assign(this, { from, to, marks, held, others, name });
    this.#points = points;
    const known = [points, ...others.map((other) => other.points)].flat().filter(({ value }) => value !== null);
    const low = known.reduce((least, { low, value }) => Math.min(least, low ?? value), Infinity);
    const high = known.reduce((most, { high, value }) => Math.max(most, high ?? value), -Infinity);
    this.low = known.length ? Math.min(0, low) : 0;
    // A counter has come far from 0, where its line would be flat. Noise of a gauge stays small.
    if (this.isCounter && low > 0 && high - low < high / 1000) this.low = low;
    if (!known.length || high <= this.low) this.high = this.low + 1;
    else this.high = this.low === 0 ? top(high, this.unit) : high + (high - this.low) * 0.05;
    this.lines = [{ name, points }, ...others];
    const ranges = this.lines.map(({ name, points }) => `${name ? `${name} ` : ""}${this.#range(points)}`);
    this.canvas.setAttribute("aria-label", `${this.title}: ${ranges.join("; ")}`);
    const last = this.lines.flatMap(({ points }) => points.findLast(({ value }) => value !== null) ?? []).map(({ at }) => at);
    this.about = last.length ? `last ${this.#said(Math.max(...last))}` : "no readings in this span";
    this.#paint();
  }

  #range(points) {
    const known = points.filter(({ value }) => value !== null);
    if (!known.length) return "no readings in this span";
    const low = known.reduce((least, { low, value }) => Math.min(least, low ?? value), Infinity);
    const high = known.reduce((most, { high, value }) => Math.max(most, high ?? value), -Infinity);
    return `${quantity(low, this.unit)} to ${quantity(high, this.unit)}, last ${quantity(known.at(-1).value, this.unit)}`;
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
      const times = this.#times();
      if (!steps || !times.length) return;
      event.preventDefault();
      const here = times.indexOf(this.#snapped(this.#cursor ?? this.to));
      this.#point(times[Math.max(0, Math.min(times.length - 1, here + steps))]);
    });
  }

  #point(time) {
    this.#cursor = time;
    this.#paint();
  }

  // The times of all lines, in order.
  #times() {
    return [...new Set(this.lines.flatMap(({ points }) => points.map(({ at }) => at)))].sort((a, b) => a - b);
  }

  // The time nearest to another one at which a line has a point; null without a point.
  #snapped(time) {
    const near = this.lines.filter(({ points }) => points.length).map(({ points }) => nearest(points, time));
    return near.length ? nearest(near, time).at : null;
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
    this.#strip(pen, width, x, colour);
    this.others.forEach(({ points }, number) => {
      pen.setLineDash(DASHES[(number + 1) % DASHES.length]);
      for (const stretch of stretches(points)) this.#line(pen, stretch, x, y, colour(`--${lineClass(number + 1)}`));
    });
    pen.setLineDash([]);
    for (const stretch of stretches(this.#points)) this.#line(pen, stretch, x, y, colour("--l0"));
    pen.fillStyle = colour("--bad");
    for (const { at } of this.marks) pen.fillRect(x(at) - 1, 4, 2, HEIGHT - BOTTOM - 4);
    const at = this.#cursor === null ? null : this.#snapped(this.#cursor);
    if (at !== null) {
      pen.fillStyle = colour("--text");
      pen.fillRect(x(at), 4, 1, HEIGHT - BOTTOM - 4);
      if (this.#drag !== null) {
        pen.globalAlpha = 0.15;
        pen.fillRect(Math.min(x(this.#drag), x(this.#cursor)), 4, Math.abs(x(this.#cursor) - x(this.#drag)), HEIGHT - BOTTOM - 4);
        pen.globalAlpha = 1;
      }
    }
    this.readout.textContent = at === null ? this.about : this.#told(at);
  }

  #told(at) {
    const who = this.held.filter(({ from, to }) => from <= at && at <= to).map(({ who }) => who);
    return `${this.#said(at)}${who.length ? `, held by ${who.join(" and ")}` : ""}`;
  }

  // The values of all lines at a time. GPUs of one host are told apart by their numbers.
  #said(at) {
    const hosts = new Set(this.lines.map(({ name }) => name.slice(0, name.lastIndexOf(":"))));
    const called = (name) => (this.lines.length > 1 && hosts.size === 1 ? name.slice(name.lastIndexOf(":")) : name);
    const values = this.lines.map(({ name, points }) => `${name ? `${called(name)} ` : ""}${quantity(valueAt(points, at), this.unit)}`);
    return `${values.join(", ")} at ${clock(at)}`;
  }

  // Who had the GPU: a strip along the top, of two colours that take turns.
  #strip(pen, width, x, colour) {
    this.held.forEach(({ from, to }, number) => {
      const [left, right] = [Math.max(LEFT, x(from)), Math.min(width, x(to))];
      pen.fillStyle = colour(number % 2 ? "--c4" : "--c6");
      if (right > left) pen.fillRect(left, 0, Math.max(1, right - left - 1), STRIP);
    });
  }

  #axes(pen, width, x, y, colour) {
    pen.fillStyle = colour("--quiet");
    pen.strokeStyle = colour("--rule");
    pen.textAlign = "right";
    for (const value of [this.low, (this.low + this.high) / 2, this.high]) {
      pen.strokeRect(LEFT, Math.round(y(value)) + 0.5, width - LEFT, 0);
      pen.fillText(this.unit === "MiB" && value ? quantity(value, "MiB") : number(value), LEFT - 6, y(value) + 4);
    }
    pen.textAlign = "center";
    const step = STEPS_S.find((each) => (this.to - this.from) / 1000 / each <= width / 75) ?? STEPS_S.at(-1);
    for (const at of ticks(this.from, this.to, step)) {
      const [date, time] = [new Date(at).toLocaleDateString("en-CA").slice(5), new Date(at).toLocaleTimeString("en-GB")];
      const text = step >= DAY_S ? date : time.slice(0, step < 60 ? 8 : 5);
      if (x(at) > LEFT + 20 && x(at) < width - 20) pen.fillText(text, x(at), HEIGHT - 5);
    }
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
