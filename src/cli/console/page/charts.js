// Four charts on one time axis. Each has a sentence and a table that say the same.

import { age, element, grouped, timeOfDay } from "./words.js";

const HEIGHT = 170;
const MOST_ROWS = 30; // of a table

const CHARTS = [
  {
    title: "Messages",
    series: [
      { key: "waiting", label: "waiting", color: "--link" },
      { key: "inFlight", label: "in flight", color: "--second", dash: [6, 3] },
    ],
  },
  {
    title: "Containers",
    series: [
      { key: "running", label: "running", color: "--good" },
      { key: "starting", label: "starting", color: "--warning", dash: [6, 3] },
      { key: "cap", label: "cap", color: "--third", dash: [2, 3] },
    ],
  },
  {
    title: "Launches and failures",
    series: [
      { key: "launched", label: "containers launched", color: "--link" },
      { key: "failed", label: "tasks failed within the hour", color: "--bad", dash: [6, 3] },
    ],
  },
  { title: "Age of the oldest message", series: [{ key: "oldest", label: "age", color: "--warning" }], isAge: true },
];

const known = (values) => values.filter((value) => value !== null);

const sentence = ({ series, isAge }, history) => {
  const said = (value) => (isAge ? age(value) : grouped(value));
  const parts = series.map(({ key, label }) => {
    const values = known(history[key]);
    if (!values.length) return `${label}: not read`;
    const last = history[key].at(-1);
    const now = last === null ? "not read now" : `${said(last)} now`;
    return `${label}: ${now}, peak ${said(Math.max(...values))}`;
  });
  return `${parts.join("; ")}.`;
};

const time = (seconds) => timeOfDay(seconds * 1000);

const table = ({ title, series, isAge }, history) => {
  const step = Math.max(1, Math.ceil(history.times.length / MOST_ROWS));
  const from = (history.times.length - 1) % step;
  const rows = [];
  // A row stands for all since the one before it: of launches their sum, of all else how it is then.
  const value = (key, index) => {
    if (key !== "launched") return history[key][index];
    const since = known(history[key].slice(Math.max(0, index - step + 1), index + 1));
    return since.length ? since.reduce((sum, more) => sum + more, 0) : null;
  };
  for (let index = from; index < history.times.length; index += step) {
    const said = (it) => (it === null ? "?" : isAge ? age(it) : grouped(it));
    const cells = series.map(({ key }) => element("td", { class: "number" }, said(value(key, index))));
    rows.unshift(element("tr", {}, element("th", { scope: "row" }, time(history.times[index])), ...cells));
  }
  const heads = series.map(({ label }) => element("th", { scope: "col", class: "number" }, label));
  return element(
    "table",
    {},
    element("caption", { class: "unseen" }, title),
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Time"), ...heads)),
    element("tbody", {}, ...rows),
  );
};

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const axis = (more) => ({
  stroke: color("--aside"),
  grid: { stroke: color("--line"), width: 1 },
  ticks: { stroke: color("--line"), width: 1 },
  ...more,
});

const plotted = (chart, box, data) => {
  const said = (value) => (value === null ? "?" : chart.isAge ? age(value) : grouped(value));
  const options = {
    width: Math.max(200, box.clientWidth),
    height: HEIGHT,
    cursor: { sync: { key: "worker" }, drag: { x: false, y: false } },
    scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] } },
    axes: [
      axis({ size: 34, values: (_, values) => values.map((value) => time(value).slice(0, 5)) }),
      axis({ size: chart.isAge ? 76 : 56, values: (_, values) => values.map(said) }),
    ],
    series: [
      { value: (_, value) => (value === null ? "" : time(value)) },
      ...chart.series.map(({ label, color: name, dash }) => ({
        label,
        stroke: color(name),
        width: 2,
        dash,
        value: (_, value, __, index) => (index === null ? "" : said(value)),
      })),
    ],
  };
  return new window.uPlot(options, data, box);
};

export class Charts {
  #ended = new AbortController();
  #sizes = null;
  #drawn = [];
  #history = null;
  element = element("div", { class: "charts" });

  constructor() {
    for (const chart of CHARTS) {
      const box = element("div", { class: "chart", "aria-hidden": "true" });
      const caption = element("figcaption");
      const details = element("details", {}, element("summary", {}, "As a table"));
      details.addEventListener("toggle", () => this.#fill());
      this.element.append(element("figure", {}, element("h3", {}, chart.title), box, caption, details));
      this.#drawn.push({ chart, box, caption, details, plot: null });
    }
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => this.#anew(), { signal: this.#ended.signal });
    this.#sizes = new ResizeObserver(() => {
      for (const { plot, box } of this.#drawn) plot?.setSize({ width: Math.max(200, box.clientWidth), height: HEIGHT });
    });
    this.#sizes.observe(this.element);
  }

  // Nothing of them goes on: plots know each other by their common cursor.
  end() {
    this.#ended.abort();
    this.#sizes.disconnect();
    this.#history = null;
    this.#anew();
  }

  take(history) {
    this.#history = history;
    for (const drawn of this.#drawn) {
      const data = [history.times, ...drawn.chart.series.map(({ key }) => history[key])];
      if (!drawn.plot && drawn.box.isConnected) drawn.plot = plotted(drawn.chart, drawn.box, data);
      else drawn.plot?.setData(data);
      drawn.caption.textContent = sentence(drawn.chart, history);
    }
    this.#fill();
  }

  // A table that nobody has opened is not made.
  #fill() {
    for (const { chart, details } of this.#drawn) {
      if (details.open && this.#history) {
        details.querySelector("table")?.remove();
        details.append(table(chart, this.#history));
      }
    }
  }

  // Other colours, or another worker.
  #anew() {
    for (const drawn of this.#drawn) {
      drawn.plot?.destroy();
      drawn.plot = null;
    }
    if (this.#history) this.take(this.#history);
  }
}
