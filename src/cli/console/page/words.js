// How numbers and times are written, and how elements are made: texts are text, whatever is in them.

export const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
};

// Names of others may be written from right to left.
export const isolated = (text) => element("bdi", {}, text);

export const byId = (id) => document.getElementById(id);

const GROUPED = new Intl.NumberFormat("en-US");

// What was not read is never zero.
export const grouped = (number) => (number === undefined || number === null ? "?" : GROUPED.format(number));

export const age = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86400)}d ${two(Math.floor((whole % 86400) / 3600))}h`;
};

export const dollars = (millionths) => `$${(millionths / 1e6).toFixed(millionths < 1e6 ? 4 : 2)}`;

export const counted = (number, one) => `${grouped(number)} ${one}${number === 1 ? "" : "s"}`;

// The zone of times: the browser's, or UTC where `--utc` asks for it.
let zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export const inUtc = (isUtc) => {
  if (isUtc) zone = "UTC";
};

export const timeOfDay = (time) =>
  new Date(time).toLocaleTimeString([], { hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: zone });

export const clock = (time) => `${timeOfDay(time)} ${zone}`;
