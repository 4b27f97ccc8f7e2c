// What the server says as it happens. `EventSource` could not send the key.

const SILENCE = 40_000; // the server says something every 15 s
const LONGEST_PAUSE = 30_000;

export class Live {
  #key;
  #heard;
  #lost;
  #worker = "";
  #last = "";
  #abort = null;
  #tries = 0;
  #timer = 0;

  // `heard` gets what was sent, `lost` why nothing comes any more, or nothing where it comes again.
  constructor(key, heard, lost) {
    this.#key = key;
    this.#heard = heard;
    this.#lost = lost;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
  }

  look(worker) {
    if (worker === this.#worker) return;
    this.#worker = worker;
    this.start();
  }

  // Nobody sees a hidden page: then the server need not read either.
  stop() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
  }

  start() {
    this.stop();
    if (document.hidden) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#read(abort).catch((error) => {
      if (this.#abort === abort) this.#again(error);
    });
  }

  #again(error) {
    this.stop();
    this.#lost(error);
    const pause = Math.min(LONGEST_PAUSE, 1000 * 2 ** this.#tries);
    this.#tries += 1;
    this.#timer = setTimeout(() => this.start(), pause);
  }

  async #read(abort) {
    const headers = { Authorization: `Bearer ${this.#key}` };
    if (this.#last) headers["Last-Event-ID"] = this.#last;
    const path = `api/live?worker=${encodeURIComponent(this.#worker)}`;
    const answer = await fetch(path, { headers, signal: abort.signal, cache: "no-store" });
    if (!answer.ok) {
      const { error } = await answer.json().catch(() => ({ error: `the server said ${answer.status}` }));
      throw new Error(error);
    }
    this.#tries = 0;
    this.#lost(null);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const silence = setTimeout(() => abort.abort(new Error("the server has fallen silent")), SILENCE);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      if (done) throw new Error("the server closed the connection");
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) this.#take(part);
    }
  }

  #take(text) {
    const fields = text.split("\n").map((line) => [line.split(":", 1)[0], line.slice(line.indexOf(":") + 2)]);
    const event = Object.fromEntries(fields);
    if (event.data === undefined) return;
    this.#last = event.id;
    this.#heard(JSON.parse(event.data));
  }
}
