// The events of the gateway, and what the connection is like. EventSource can show no token, so the stream is read here:
// after a break it is asked for again, with the event that was seen last; a gateway that is silent is taken to be gone.

import { ask } from "./right.js";

const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 30_000;
const SILENT_AFTER_MS = 12_000; // the gateway tells the time every 5 s
const GONE_AFTER_MS = 15_000;

/** Calls `heard("street" | "change" | "clock", value)` for each event, `state("live" | "reconnecting" | "gone")` for changes. */
export function follow(heard, state) {
  let refusals = 0;
  let gone = null;
  let seen = null;

  function broken() {
    if (gone !== null) return; // it is told already, and tries in vain are no news
    state("reconnecting");
    gone = setTimeout(() => state("gone"), GONE_AFTER_MS);
  }

  function take({ event, id, data }) {
    seen = id ?? seen;
    clearTimeout(gone);
    gone = null;
    refusals = 0;
    try {
      heard(event, JSON.parse(data));
    } catch (error) {
      reportError(error); // a fault of the page is none of the connection
    }
    state("live");
  }

  async function open() {
    const stop = new AbortController();
    let silent = null;
    const watch = () => {
      clearTimeout(silent);
      silent = setTimeout(() => stop.abort(), SILENT_AFTER_MS);
    };
    watch();
    try {
      const headers = seen === null ? {} : { "Last-Event-ID": seen };
      const answer = await ask("events", { headers, cache: "no-store", signal: stop.signal });
      if (!answer.ok) refusals += 1; // too many viewers
      else {
        for await (const event of events(answer.body)) {
          watch();
          if (event.event) take(event);
        }
      }
    } catch {
      // The gateway cannot be reached, or is silent.
    }
    clearTimeout(silent);
    broken();
    setTimeout(open, Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.max(0, refusals - 1)));
  }

  open();
}

/** Server-sent events as the gateway writes them: one `data` line each. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) yield Object.fromEntries(part.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
  }
}
