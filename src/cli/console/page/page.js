// What is shown, and what somebody does with it. The place (worker, search, order) stands in the address, beside
// the key.

import { Live } from "./live.js";
import { Table } from "./table.js";
import { Worker } from "./worker.js";
import { age, byId, clock, counted, dollars, element, grouped, isolated } from "./words.js";

const address = new URLSearchParams(location.hash.slice(1));
const key = address.get("k") ?? "";

let head = null;
let heardAt = 0;
let lostSince = 0;
let tones = new Map();

const table = new Table(open, remember);
const worker = new Worker(close, stop);
const live = new Live(key, heard, lost);

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
  table.take(update);
  table.mark(worker.name);
  const row = table.row(worker.name);
  if (row) worker.row(row);
  if (update.look && update.look.worker === worker.name) worker.take(update.look, head.mayStop);
  drawHead();
  say(update);
}

// Only what somebody has to know is said aloud, and only when it begins.
function say({ rows, whole }) {
  const news = [];
  for (const { worker: name, tone, words, note } of rows) {
    if (!whole && tone === "bad" && tones.get(name) !== "bad") news.push(`${name}: ${words}${note ? `, ${note}` : ""}`);
    tones.set(name, tone);
  }
  if (news.length) byId("news").textContent = news.slice(0, 3).join("; ");
}

function lost(error) {
  if (error && !lostSince) lostSince = Date.now();
  if (!error) lostSince = 0;
  const banner = byId("banner");
  banner.hidden = !error;
  if (error) {
    const since = heardAt ? ` What is shown is of ${clock(heardAt)}.` : "";
    banner.textContent = `No connection since ${clock(lostSince)}: ${error.message}.${since} It is tried again.`;
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
    const trouble = `${totals.inTrouble} in trouble`;
    const parts = [
      `${totals.busy} of ${totals.workers} workers busy`,
      totals.inTrouble ? element("span", { class: "bad" }, trouble) : trouble,
      `${least}${grouped(totals.waiting)} waiting`,
      `${least}${grouped(totals.running)} running`,
      `${least}${grouped(totals.starting)} starting`,
      `${least}${dollars(totals.hourlyMicroDollars)}/h`,
      region,
    ];
    byId("totals").replaceChildren(...parts.map((part) => element("li", {}, part)));
  }
  const said = head.failed ? [`the last read failed: ${head.failed}`, ...notes] : notes;
  byId("notes").replaceChildren(...said.map((note) => element("li", {}, isolated(note))));
  const { callsOfEcs, pauseSeconds, hourlyMicroDollars } = head;
  const rate = (callsOfEcs / Math.max(1, pauseSeconds)).toFixed(1);
  const stops = head.mayStop ? "may stop tasks" : "reads only";
  byId("foot").textContent = head.isSaved
    ? `Saved by queue-scaler ${head.version}.`
    : `queue-scaler ${head.version}; ${stops}; ${rate} calls of ECS a second, about ${dollars(hourlyMicroDollars)} an hour`;
  drawAge();
}

// How old what is shown is. What is too old is grey.
function drawAge() {
  if (!head) return;
  if (!head.at) {
    byId("age").textContent = "All workers are being read.";
    return;
  }
  if (head.isSaved) {
    byId("age").textContent = `as of ${new Date(head.at).toISOString()}`;
    return;
  }
  const seconds = head.ageSeconds + (Date.now() - heardAt) / 1000;
  const isStale = lostSince !== 0 || seconds > 3 * Math.max(5, head.pauseSeconds);
  document.querySelector("main").classList.toggle("stale", isStale);
  byId("age").textContent = `${clock(head.at)}, ${age(seconds)} ago`;
}

function open(name) {
  const isAnother = worker.name !== name;
  const title = isAnother ? worker.open(name, head?.isSaved ?? false) : byId("worker-name");
  const row = table.row(name);
  if (row) worker.row(row);
  table.mark(name);
  if (!head?.isSaved) live.look(name);
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
  if (!head.isSaved) live.look("");
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

// Tells what would become of it, and does it after a yes.
async function stop(name, task) {
  const path = `api/workers/${encodeURIComponent(name)}/tasks/${encodeURIComponent(task)}/stop`;
  const dialog = byId("question");
  const text = byId("question-text");
  byId("question-title").textContent = `Stop task ${task.slice(0, 8)} of ${name}?`;
  text.textContent = "What that would mean is being read.";
  byId("yes").disabled = true;
  dialog.returnValue = "";
  dialog.showModal();
  try {
    text.textContent = (await ask(path)).join("\n");
    byId("yes").disabled = false;
    if (dialog.open) await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue !== "yes") return;
    const headers = { "Content-Type": "application/json" };
    const lines = await ask(path, { method: "POST", headers, body: JSON.stringify({ task }) });
    byId("news").textContent = lines.join("; ");
  } catch (error) {
    text.textContent = error.message;
    byId("yes").disabled = true;
    if (!dialog.open) dialog.showModal();
  }
}

const isTyping = (target) => target.closest("input, textarea, select, dialog");

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

const saved = byId("saved");
if (saved) {
  heard(JSON.parse(saved.textContent));
  if (address.get("w")) open(address.get("w"));
} else {
  if (address.get("w")) open(address.get("w"));
  live.start();
  setInterval(drawAge, 1000);
}
