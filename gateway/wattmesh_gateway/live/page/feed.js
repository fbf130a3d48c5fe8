// The events of the gateway, and what the connection is like. EventSource comes back by itself after a break, and says
// which event it saw last; after a refusal (too many viewers) it does not, so it is made anew here.

const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 30_000;
const GONE_AFTER_MS = 15_000;

/** Calls `heard("street" | "change", value)` for each event, `state("live" | "reconnecting" | "gone")` for changes. */
export function follow(heard, state) {
  let waitMs = FIRST_WAIT_MS;
  let gone = null;

  function broken() {
    if (gone !== null) return; // it is told already, and tries in vain are no news
    state("reconnecting");
    gone = setTimeout(() => state("gone"), GONE_AFTER_MS);
  }

  function open() {
    const source = new EventSource("events");
    for (const name of ["street", "change"]) {
      source.addEventListener(name, (event) => {
        clearTimeout(gone);
        gone = null;
        waitMs = FIRST_WAIT_MS;
        heard(name, JSON.parse(event.data));
        state("live");
      });
    }
    source.addEventListener("error", () => {
      broken();
      if (source.readyState !== EventSource.CLOSED) return;
      source.close();
      setTimeout(open, waitMs);
      waitMs = Math.min(LONGEST_WAIT_MS, 2 * waitMs);
    });
  }

  open();
}
