// What is shown, and what somebody does with it. The place (worker, search, order) stands in the address, beside
// the key.

import { Live } from "./live.js";
import { Table } from "./table.js";
import { Worker } from "./worker.js";
import { age, byId, clock, dollars, element, grouped, inUtc, isolated } from "./words.js";

const address = new URLSearchParams(location.hash.slice(1));
const key = address.get("k") ?? "";

let head = null;
let heardAt = 0;
let lostSince = 0;
let asking = 0;
const states = new Map();

const table = new Table(open, remember);
const worker = new Worker(close, stop);
const saved = byId("saved");
const live = saved ? null : new Live(key, heard, lost);

function remember() {
  const { text, show, sort } = table.place;
  const place = { k: key, w: worker.name, q: text, show: show === "busy" ? "" : show, sort };
  const parts = Object.entries(place).filter(([, value]) => value);
  history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
}

// What the server has sent: everything, or what has changed.
function heard(update) {
  ({ head } = update);
  heardAt = Date.now();
  inUtc(head.isUtc);
  table.take(update);
  table.mark(worker.name);
  if (worker.name) worker.row(table.row(worker.name));
  if (update.look && update.look.worker === worker.name) worker.take(update.look, head.mayStop);
  drawHead();
  say(update);
}

// Only what somebody has to know is said aloud, and only when it begins.
function say({ rows, whole }) {
  const news = [];
  for (const { worker: name, tone, words, note } of rows) {
    if (!whole && tone === "bad" && states.get(name) !== words) news.push(`${name}: ${words}${note ? `, ${note}` : ""}`);
    states.set(name, words);
  }
  const more = news.length > 3 ? `; and ${news.length - 3} more` : "";
  if (news.length) byId("news").textContent = news.slice(0, 3).join("; ") + more;
}

function lost(error) {
  if (error && !lostSince) lostSince = Date.now();
  if (!error) lostSince = 0;
  const banner = byId("banner");
  banner.hidden = !error;
  if (error) {
    const since = head?.at ? ` You are seeing values from ${clock(head.at)}.` : "";
    const said = `No connection since ${clock(lostSince)}: ${error.message}.${since} Trying again.`;
    // Said once, and not at each try.
    if (banner.textContent !== said) banner.textContent = said;
  }
  drawAge();
}

function drawHead() {
  const { totals, scaler, region, notes = [] } = head;
  const name = head.function ?? scaler ?? "Workers";
  byId("name").replaceChildren(isolated(name));
  document.title = totals?.inTrouble ? `(${totals.inTrouble}) ${name}` : name;
  if (totals) {
    const least = totals.unread ? "at least " : "";
    const leastPrice = totals.unpriced ? "at least " : "";
    const trouble = `${totals.inTrouble} in trouble`;
    const parts = [
      `${least}${totals.busy} of ${totals.workers} workers busy`,
      totals.inTrouble ? element("span", { class: "bad" }, trouble) : trouble,
      `${least}${grouped(totals.waiting)} waiting`,
      `${least}${grouped(totals.running)} running`,
      `${least}${grouped(totals.starting)} starting`,
      `${leastPrice}${dollars(totals.hourlyMicroDollars)}/h`,
      region,
    ];
    byId("totals").replaceChildren(...parts.map((part) => element("li", {}, part)));
  }
  const first = head.at ? "the last read failed" : "nothing could be read yet";
  const said = head.failed ? [`${first}: ${head.failed}`, ...notes] : notes;
  byId("notes").replaceChildren(...said.map((note) => element("li", {}, isolated(note))));
  const { callsOfEcs, pauseSeconds, hourlyMicroDollars } = head;
  const rate = (callsOfEcs / Math.max(1, pauseSeconds)).toFixed(1);
  const stops = head.mayStop ? "may stop tasks" : "read-only";
  byId("foot").textContent = head.isSaved
    ? `Saved by queue-scaler ${head.version}.`
    : `queue-scaler ${head.version}; ${stops}; ${rate} ECS calls a second, about ${dollars(hourlyMicroDollars)} an hour`;
  drawAge();
}

// How old what is shown is. What is too old is grey.
function drawAge() {
  if (!head) return;
  if (!head.at) {
    byId("age").textContent = head.failed ? "" : "All workers are being read.";
    return;
  }
  if (head.isSaved) {
    byId("age").textContent = `as of ${new Date(head.at).toISOString()}`;
    return;
  }
  const seconds = head.ageSeconds + (Date.now() - heardAt) / 1000;
  const isStale = lostSince !== 0 || seconds > 3 * Math.max(5, head.pauseSeconds);
  document.querySelector("main").classList.toggle("stale", isStale);
  const later = seconds - head.ageSeconds;
  const tasks = head.tasksAgeSeconds === undefined ? "" : `; tasks ${age(head.tasksAgeSeconds + later)} ago`;
  byId("age").textContent = `${clock(head.at)}, ${age(seconds)} ago${tasks}`;
}

function open(name) {
  const isAnother = worker.name !== name;
  const title = isAnother ? worker.open(name, head?.isSaved ?? false) : byId("worker-name");
  if (head) worker.row(table.row(name));
  table.mark(name);
  live?.look(name);
  remember();
  title.focus();
  title.scrollIntoView({ block: "nearest" });
  byId("worker").scrollIntoView({ block: "nearest" });
}

function close() {
  const { name } = worker;
  if (!name) return;
  worker.shut();
  table.mark("");
  live?.look("");
  remember();
  table.focus(name);
}

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${key}`, ...options.headers };
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said.lines;
}

// Tells what would become of it, does it after a yes, and says what came of it. Who closes the question, or asks
// another one, has taken back whatever is under way but the yes.
async function stop(name, task) {
  const path = `api/workers/${encodeURIComponent(name)}/tasks/${encodeURIComponent(task)}/stop`;
  const [dialog, text, yes, no] = ["question", "question-text", "yes", "no"].map(byId);
  asking += 1;
  const mine = asking;
  const show = (words, answers) => {
    if (mine !== asking) return;
    text.textContent = words;
    yes.hidden = !answers;
    yes.disabled = answers !== "now";
    no.textContent = answers ? "No" : "Close";
  };
  byId("question-title").textContent = `Stop task ${task.slice(0, 8)} of ${name}?`;
  show("Reading what that would mean.", "soon");
  yes.onclick = () => {
    show("Stopping it.", "");
    const headers = { "Content-Type": "application/json" };
    const asked = ask(path, { method: "POST", headers, body: JSON.stringify({ task }) });
    asked.then((lines) => show(lines.join("\n"), ""), (error) => show(error.message, ""));
  };
  dialog.showModal();
  no.focus();
  try {
    show((await ask(path)).join("\n"), "now");
  } catch (error) {
    show(error.message, "");
  }
}

byId("question").addEventListener("close", () => {
  asking += 1;
});

const isTyping = (target) => target.closest('input[type="search"], dialog');

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const search = byId("text");
  if (event.key === "Escape" && event.target === search) {
    search.value = "";
    search.dispatchEvent(new Event("input", { bubbles: true }));
    search.blur();
  } else if (event.key === "Escape" && !event.target.closest("dialog")) {
    close();
  } else if (isTyping(event.target)) {
    return;
  } else if (event.key === "/") {
    event.preventDefault();
    search.focus();
  } else if (event.key === "j") {
    table.step(1);
  } else if (event.key === "k") {
    table.step(-1);
  } else if (event.key === "?") {
    byId("keys").showModal();
  }
});

byId("show-keys").addEventListener("click", () => byId("keys").showModal());
byId("which").addEventListener("submit", (event) => event.preventDefault());
byId("which").addEventListener("input", () => {
  table.place.text = byId("text").value;
  table.place.show = byId("which").elements.show.value;
  table.show();
  remember();
});

table.place = { text: address.get("q") ?? "", show: address.get("show") || "busy", sort: address.get("sort") ?? "" };
byId("text").value = table.place.text;
byId("which").elements.show.value = table.place.show;

// Another address in the same tab, as that of a console that was started again.
addEventListener("hashchange", () => location.reload());

if (saved) {
  heard(JSON.parse(saved.textContent));
  if (address.get("w")) open(address.get("w"));
} else {
  if (address.get("w")) open(address.get("w"));
  live.start();
  setInterval(drawAge, 1000);
}
