// One worker closely: the sum, charts, its tasks, and what became of those that ended.

import { Charts } from "./charts.js";
import { age, byId, clock, counted, element, grouped, isolated } from "./words.js";

const MOST_TASKS = 100; // of a page
const MOST_WAYS = 10; // to end

const ageOf = (task) => (task.ageSeconds === undefined ? "?" : age(task.ageSeconds));

const heading = (text) => element("h3", {}, text);

const list = (items) => element("ul", {}, ...items.map((item) => element("li", {}, item)));

// A link leads out of here, and says nothing of where it was followed.
const link = (words, address) =>
  element("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, words);

const table = (name, heads, rows) =>
  element(
    "div",
    { class: "wide", role: "region", "aria-label": name, tabindex: "0" },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, ...rows),
    ),
  );

// How tasks ended, what was last first.
function ways(title, ended) {
  if (!ended.length) return [];
  const rows = ended.slice(0, MOST_WAYS).map((row) => {
    const cells = [grouped(row.tasks), row.exits.join(", "), row.code, row.reason, `${age(row.secondsAgo)} ago`];
    return element("tr", {}, ...cells.map((cell) => element("td", {}, isolated(cell))));
  });
  const parts = [heading(title), table(title, ["Tasks", "Exit", "Stop code", "Reason", "Last"], rows)];
  const more = ended.length - rows.length;
  return more > 0 ? [...parts, element("p", {}, `and ${more} other ways before`)] : parts;
}

export class Worker {
  #parts = {};
  #charts = null;
  #name = "";
  #shownTasks = MOST_TASKS;
  #view = null;
  #drawn = new Map(); // what each part was made of
  #taskAddress = undefined;
  #mayStop = false;
  #isSaved = false;
  #close;
  #stop;

  // `stop` asks and then stops a task.
  constructor(close, stop) {
    this.#close = close;
    this.#stop = stop;
  }

  get name() {
    return this.#name;
  }

  open(name, isSaved) {
    this.#charts?.end();
    this.#drawn.clear();
    this.#name = name;
    this.#isSaved = isSaved;
    this.#view = null;
    this.#shownTasks = MOST_TASKS;
    const part = () => element("div");
    this.#parts = { state: part(), error: part(), tasks: part(), ended: part(), decisions: part(), rest: part(), at: part() };
    this.#charts = new Charts();
    const title = element("h2", { id: "worker-name", tabindex: "-1" }, isolated(name));
    const close = element("button", { type: "button", onclick: this.#close }, "Close");
    const { state, error, tasks, ended, decisions, rest, at } = this.#parts;
    const section = byId("worker");
    const first = element("div", { class: "head" }, title, close);
    section.replaceChildren(first, state, error, this.#charts.element, tasks, ended, decisions, rest, at);
    const words = this.#isSaved ? "Its tasks were not saved." : "Its tasks are being read.";
    tasks.replaceChildren(element("p", { class: "aside" }, words));
    section.hidden = false;
    return title;
  }

  shut() {
    this.#name = "";
    this.#charts?.end();
    this.#charts = null;
    byId("worker").replaceChildren();
    byId("worker").hidden = true;
  }

  // Whether a part is made of something else than before: what somebody reads or has chosen is left alone.
  #isNew(part, made) {
    const text = JSON.stringify(made);
    if (this.#drawn.get(part) === text) return false;
    this.#drawn.set(part, text);
    return true;
  }

  // Its row, which comes before everything else; none where no such worker is there.
  row(row) {
    const { tone, words, note, why, help, error } = row ?? {};
    if (!this.#isNew("state", [tone, words, note, why, help, error])) return;
    if (!row) {
      this.#parts.state.replaceChildren(element("p", { class: "bad" }, "There is no such worker in the configuration."));
      return;
    }
    const parts = [element("p", {}, element("span", { class: `state ${row.tone}` }, row.words), " ", isolated(row.note ?? ""))];
    if (row.why) parts.push(element("p", {}, isolated(row.why)));
    if (row.help) {
      const help = this.#isSaved ? row.help.title : link(row.help.title, row.help.address);
      parts.push(element("p", {}, "What to do: ", help));
    }
    if (row.error) parts.push(element("p", { class: "bad" }, isolated(row.error)));
    this.#parts.state.replaceChildren(...parts);
  }

  take({ view, error, history, links, settings, taskAddress }, mayStop) {
    this.#mayStop = mayStop;
    if (history && history.times.length) this.#charts.take(history);
    if (this.#isNew("error", error ?? null)) {
      const failed = error ? [element("p", { class: "bad", role: "alert" }, isolated(error))] : [];
      this.#parts.error.replaceChildren(...failed);
    }
    if (!view) return;
    this.#view = view;
    this.#taskAddress = taskAddress;
    this.#drawTasks();
    this.#drawEnded();
    this.#drawDecisions();
    this.#drawRest(links, settings);
  }

  #drawTasks() {
    const { alive } = this.#view;
    const made = alive.map(({ ageSeconds, ...task }) => task);
    if (!this.#isNew("tasks", [made, this.#shownTasks, this.#mayStop])) {
      const cells = this.#parts.tasks.querySelectorAll("td.age");
      cells.forEach((cell, index) => (cell.textContent = ageOf(alive[index])));
      return;
    }
    const heads = ["Task", "State", "Age", "Containers", "Size", "On", "Revision"];
    const rows = alive.slice(0, this.#shownTasks).map((task) => this.#task(task));
    const more = alive.length - rows.length;
    const next = () => {
      this.#shownTasks += MOST_TASKS;
      this.#drawTasks();
    };
    const parts = [heading(`Tasks: ${grouped(alive.length)}`)];
    if (rows.length) parts.push(table("Tasks", this.#mayStop ? [...heads, "Stop"] : heads, rows));
    if (more > 0) {
      const button = element("button", { type: "button", onclick: next }, `Show ${Math.min(more, MOST_TASKS)} more`);
      parts.push(element("p", {}, `${counted(more, "task")} more. `, button));
    }
    const focused = document.activeElement?.dataset?.task;
    this.#parts.tasks.replaceChildren(...parts);
    const again = focused && this.#parts.tasks.querySelector(`[data-task="${CSS.escape(focused)}"]`);
    again?.focus({ preventScroll: true });
  }

  #task(task) {
    const states = task.states.map(({ name, state, exitCode }) => {
      const exit = exitCode === undefined ? "" : `, exit ${exitCode}`;
      return element("div", {}, isolated(name), ` ${state}${exit}`);
    });
    const workers = `${task.running} of ${task.containers} run`;
    const size = task.cpu === undefined ? "?" : `${grouped(task.cpu)} CPU units, ${grouped(task.memory)} MiB`;
    const short = task.task.slice(0, 8);
    const address = this.#taskAddress?.replace("{task}", encodeURIComponent(task.task));
    const id = address ? link(short, address) : short;
    const cells = [
      [id],
      [task.state],
      [ageOf(task)],
      states.length ? states : [workers],
      [size],
      [task.instance ? `${task.capacity} ${task.instance}` : task.capacity],
      [isolated(task.revision)],
    ];
    if (this.#mayStop) {
      const name = `Stop task ${short}`;
      const attributes = { type: "button", "aria-label": name, "data-task": task.task };
      const stop = () => this.#stop(this.#name, task.task);
      cells.push(task.state === "stopping" ? [] : [element("button", { ...attributes, onclick: stop }, "Stop")]);
    }
    const AGE = 2;
    return element("tr", {}, ...cells.map((cell, index) => element("td", { class: index === AGE ? "age" : "" }, ...cell)));
  }

  #drawEnded() {
    const { ended, endedBefore = [] } = this.#view;
    const byMinutes = ({ secondsAgo, ...row }) => [row, Math.floor(secondsAgo / 60)];
    if (!this.#isNew("ended", [ended.map(byMinutes), endedBefore.map(byMinutes)])) return;
    const now = ways("Ended within the hour that ECS remembers", ended);
    const before = ways("Ended badly before that", endedBefore);
    this.#parts.ended.replaceChildren(...now, ...before);
  }

  #drawDecisions() {
    const { decisions } = this.#view;
    if (!this.#isNew("decisions", decisions)) return;
    const said = decisions.map(({ tick, outcome, started, why }) => {
      const tasks = started ? `, ${counted(started, "task")} started` : "";
      return isolated(`${clock(tick)}: ${outcome}${tasks}${why ? `: ${why}` : ""}`);
    });
    const parts = said.length ? [heading("Decided within the last hour"), list(said.reverse())] : [];
    this.#parts.decisions.replaceChildren(...parts);
  }

  #drawRest(links, settings) {
    const { logs, notes, deadLetters, base, at } = this.#view;
    this.#parts.at.replaceChildren(element("p", { class: "aside" }, `read ${clock(at)}`));
    if (!this.#isNew("rest", [logs, notes, deadLetters, base, settings, links])) return;
    const parts = [];
    if (base?.isNew) {
      parts.push(element("p", {}, isolated(base.revision), ` is new since ${clock(base.registered)}`));
    }
    if (deadLetters) {
      const count = deadLetters.messages === undefined ? "an unknown number of" : grouped(deadLetters.messages);
      const after = `after ${deadLetters.maxReceiveCount} receives`;
      parts.push(heading("Dead letters"), element("p", {}, `${count} in `, isolated(deadLetters.queue), `, ${after}`));
    }
    if (logs.length) parts.push(heading("Logs"), ...logs.map((log) => element("pre", { tabindex: "0" }, log)));
    if (settings) {
      parts.push(heading("Configuration"), element("pre", { tabindex: "0" }, settings));
    }
    if (links.length) {
      parts.push(heading("In the AWS console"), list(links.map(({ title, address }) => link(title, address))));
    }
    const said = (notes ?? []).map((note) => element("li", {}, isolated(note)));
    if (said.length) parts.push(element("ul", { class: "notes" }, ...said));
    this.#parts.rest.replaceChildren(...parts);
  }
}
