// All workers, a row each: only what has changed is drawn anew.

import { age, byId, dollars, element, grouped, isolated } from "./words.js";

const SHOWN = 1800; // seconds that a trend goes back
const WIDTH = 112;
const HEIGHT = 22;
const AT_ONCE = 100; // trends
const SVG = "http://www.w3.org/2000/svg";

// A trend: what waited, by the time. What was not read is a gap.
const drawTrend = (svg, points, now, longest) => {
  const seen = points.filter(([time]) => now - SHOWN <= time);
  const most = Math.max(1, ...seen.map(([, value]) => value ?? 0));
  let path = "";
  let pen = "M";
  let before = 0;
  for (const [time, value] of seen) {
    // What lies between two readings that are far apart is not known.
    if (value === null || longest < time - before) pen = "M";
    before = time;
    if (value === null) continue;
    const x = ((time - now + SHOWN) / SHOWN) * WIDTH;
    path += `${pen}${x.toFixed(1)} ${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`;
    pen = "L";
  }
  // A single point is a dot.
  if (path && !path.includes("L")) path += "h1";
  svg.firstChild.setAttribute("d", path);
};

const trend = () => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "trend");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "path"));
  return svg;
};

const ofCap = (row) => `${grouped(row.running)}/${grouped(row.cap)} `;

// A cell that stays as it is, but for the number and the length of the bar.
const updateCap = (cell, row) => {
  const isKnown = row.running !== undefined && row.cap;
  const meter = cell.querySelector("meter");
  if (!isKnown || !meter) {
    const bar = isKnown ? element("meter", { "aria-hidden": "true" }) : undefined;
    cell.replaceChildren(ofCap(row), ...(bar ? [bar] : []));
    if (bar) [bar.max, bar.value] = [row.cap, Math.min(row.running, row.cap)];
    return;
  }
  cell.firstChild.data = ofCap(row);
  [meter.max, meter.value] = [row.cap, Math.min(row.running, row.cap)];
};

const oldest = (row) => {
  if (row.oldestSeconds === undefined) return row.isAgeUnread ? "?" : "-";
  const text = age(row.oldestSeconds);
  return row.growsOlder ? [element("span", { class: "warning" }, `${text} `, mark("grows older"))] : text;
};

const mark = (words) => element("span", { title: words }, "!", element("span", { class: "unseen" }, words));

const state = (row) => {
  const words = element("span", { class: `state ${row.tone}` }, row.words);
  return row.note ? [words, " ", element("span", { class: "note" }, isolated(row.note))] : [words];
};

const emptyIn = (row) => {
  if (row.emptyInSeconds !== undefined) return age(row.emptyInSeconds);
  return row.isRateUnread ? "?" : "-";
};

const failed = (row) =>
  row.failed ? [element("span", { class: "bad" }, grouped(row.failed))] : grouped(row.failed);

// `key` sorts and stands in the address; `value` is what is sorted by, the largest first where it is a number.
const COLUMNS = [
  { key: "worker", title: "Worker", value: (row) => row.worker, kind: "" },
  { key: "waiting", title: "Waiting", value: (row) => row.waiting, kind: "number" },
  { key: "trend", title: "30 min", kind: "p2" },
  { key: "oldest", title: "Oldest", value: (row) => row.oldestSeconds, draw: oldest, kind: "number p1" },
  { key: "flight", title: "In flight", value: (row) => row.inFlight, kind: "number p3" },
  { key: "running", title: "Running/cap", value: (row) => row.running, update: updateCap, kind: "number p1" },
  { key: "starting", title: "Starting", value: (row) => row.starting, kind: "number p2" },
  { key: "failed", title: "Failed", value: (row) => row.failed, draw: failed, kind: "number p1" },
  { key: "empty", title: "Empty in", value: (row) => row.emptyInSeconds, draw: emptyIn, kind: "number p2" },
  {
    key: "dollars",
    title: "$/h",
    value: (row) => row.hourlyMicroDollars,
    draw: (row) => (row.hourlyMicroDollars === undefined ? "-" : dollars(row.hourlyMicroDollars)),
    kind: "number p3",
  },
  { key: "state", title: "State", value: (row) => row.rank, draw: state, of: (row) => [row.tone, row.words, row.note], kind: "" },
];

const isBusy = (row) => row.urgency !== "idle";

// As `top` has it.
export const isMeant = (text, row) => {
  if (text.startsWith("state:")) return row.words.startsWith(text.slice(6).toLowerCase());
  if (text.startsWith("cluster:")) return (row.cluster ?? "").includes(text.slice(8));
  if (text.startsWith(">")) {
    const more = text.slice(1).trim().replaceAll(",", "");
    return row.waiting !== undefined && /^\+?\d+$/.test(more) && Number(more) < row.waiting;
  }
  return row.worker.includes(text) || row.words.includes(text);
};

export class Table {
  #rows = new Map(); // by name: the row, its element, its cells, its trend's points
  #order = [];
  #opened = "";
  #drawing = 0;
  #open;
  #changed;
  place = { text: "", show: "busy", sort: "" };

  // `open` is called with a name, `changed` when somebody sorts.
  constructor(open, changed) {
    this.#open = open;
    this.#changed = changed;
    const heads = COLUMNS.map(({ key, title, kind, value }) => {
      const head = value ? element("button", { type: "button", onclick: () => this.#sort(key) }, title) : title;
      return element("th", { scope: "col", class: kind, "data-key": key }, head);
    });
    byId("workers").tHead.append(element("tr", {}, ...heads));
  }

  // What the server has sent.
  take({ order, rows, sparks, head }) {
    for (const row of rows) this.#update(row);
    if (order) this.#order = order;
    const known = new Set(this.#order);
    for (const [name, { line }] of this.#rows) {
      if (known.has(name)) continue;
      line.remove();
      this.#rows.delete(name);
    }
    if (sparks) {
      for (const [name, values] of Object.entries(sparks.waiting)) {
        const it = this.#rows.get(name);
        if (it) it.points = values.map((value, index) => [sparks.times[index], value]);
      }
    }
    const now = Date.parse(head.failedAt ?? head.at ?? 0) / 1000;
    const longest = Math.max(90, 3 * head.pauseSeconds);
    for (const it of this.#rows.values()) {
      const last = it.points.at(-1);
      if (!last || last[0] < now) it.points.push([now, head.failed ? null : (it.row.waiting ?? null)]);
      while (it.points.length > 1 && it.points[0][0] < now - SHOWN) it.points.shift();
    }
    this.show();
    this.#drawTrends(now, longest);
  }

  // Some at a time, so that a key that is pressed meanwhile is heard.
  #drawTrends(now, longest) {
    this.#drawing += 1;
    const mine = this.#drawing;
    const left = [...this.#rows.values()];
    const some = () => {
      if (mine !== this.#drawing) return;
      for (const it of left.splice(0, AT_ONCE)) drawTrend(it.trend, it.points, now, longest);
      if (left.length) setTimeout(some);
    };
    some();
  }

  #update(row) {
    const it = this.#rows.get(row.worker) ?? this.#made(row.worker);
    const before = it.row;
    it.row = row;
    COLUMNS.forEach(({ key, value, draw, update, of }, index) => {
      if (key === "worker" || key === "trend") return;
      if (of && before && String(of(before)) === String(of(row))) return;
      const cell = it.line.cells[index];
      if (update) {
        update(cell, row);
        return;
      }
      const drawn = draw ? draw(row) : grouped(value(row));
      if (typeof drawn !== "string") cell.replaceChildren(...drawn);
      else if (cell.textContent !== drawn) cell.textContent = drawn;
    });
  }

  #made(name) {
    const button = element("button", { type: "button", class: "name", onclick: () => this.#open(name) }, isolated(name));
    const drawn = trend();
    const inside = { worker: [button], trend: [drawn] };
    const cells = COLUMNS.map(({ key, kind }) => element("td", { class: kind }, ...(inside[key] ?? [])));
    const line = element("tr", { "data-worker": name }, ...cells);
    line.addEventListener("click", (event) => {
      if (!event.target.closest("button") && !getSelection().toString()) this.#open(name);
    });
    const it = { line, button, trend: drawn, points: [], row: null };
    this.#rows.set(name, it);
    return it;
  }

  row(name) {
    return this.#rows.get(name)?.row;
  }

  // Marks the one that is open.
  mark(name) {
    this.#rows.get(this.#opened)?.line.classList.remove("open");
    this.#opened = name;
    this.#rows.get(name)?.line.classList.add("open");
  }

  focus(name) {
    this.#rows.get(name)?.button.focus();
  }

  // The next one that is shown, or the one before.
  step(by) {
    const names = this.#shown();
    const at = names.indexOf(document.activeElement?.closest("tr")?.dataset.worker);
    const next = at < 0 ? 0 : Math.min(names.length - 1, Math.max(0, at + by));
    if (names[next]) this.focus(names[next]);
  }

  #sort(key) {
    this.place.sort = this.place.sort === key ? `-${key}` : this.place.sort === `-${key}` ? "" : key;
    this.show();
    this.#changed();
  }

  #shown() {
    const { text, show, sort } = this.place;
    const isShown = ({ row }) => {
      if (text) return isMeant(text, row);
      if (show === "all") return true;
      return show === "trouble" ? row.tone === "bad" : isBusy(row);
    };
    const rows = this.#order.map((name) => this.#rows.get(name)).filter((it) => it && isShown(it));
    const column = COLUMNS.find(({ key }) => key === sort.replace("-", ""));
    if (column?.value) {
      const sign = sort.startsWith("-") ? -1 : 1;
      const of = ({ row }) => column.value(row);
      // What is not known comes last, either way.
      rows.sort((a, b) => {
        const [x, y] = [of(a), of(b)];
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return sign * (typeof x === "number" && column.key !== "state" ? y - x : x < y ? -1 : x > y ? 1 : 0);
      });
    }
    return rows.map(({ row }) => row.worker);
  }

  // Puts rows where they belong, and touches none that is there.
  show() {
    const names = this.#shown();
    const body = byId("workers").tBodies[0];
    const focused = document.activeElement;
    const shown = new Set(names);
    for (const line of [...body.rows]) if (!shown.has(line.dataset.worker)) line.remove();
    let next = body.firstElementChild;
    for (const name of names) {
      const { line } = this.#rows.get(name);
      // One that belongs further down goes out of the way, and comes again in its turn.
      if (next && line !== next && line === next.nextElementSibling) {
        next.remove();
        next = line;
      }
      if (line === next) next = next.nextElementSibling;
      else body.insertBefore(line, next);
    }
    if (focused !== document.activeElement && body.contains(focused)) focused.focus({ preventScroll: true });
    for (const head of byId("workers").tHead.rows[0].cells) {
      const { sort } = this.place;
      const key = head.dataset.key;
      const isNumber = COLUMNS.find((it) => it.key === key).kind.includes("number");
      const falls = isNumber ? "descending" : "ascending";
      const rises = isNumber ? "ascending" : "descending";
      if (sort === key) head.setAttribute("aria-sort", falls);
      else if (sort === `-${key}`) head.setAttribute("aria-sort", rises);
      else head.removeAttribute("aria-sort");
    }
    byId("count").textContent = `${names.length} of ${this.#order.length} shown`;
    const nothing = byId("nothing");
    nothing.hidden = names.length !== 0 || this.#order.length === 0;
    nothing.textContent = this.place.text
      ? "No worker matches. Press Escape to clear the search."
      : this.place.show === "trouble"
        ? "No worker is in trouble."
        : "All workers are idle: choose “all” to see them.";
  }
}
