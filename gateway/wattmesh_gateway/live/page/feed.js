// The events of the gateway, and what the connection is like. EventSource comes back by itself after a break, and says
// which event it saw last; after a refusal (too many viewers) it does not, and it does not notice a gateway that is
// silent, so it is made anew here.

const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 30_000;
const SILENT_AFTER_MS = 12_000; // the gateway tells the time every 5 s
const GONE_AFTER_MS = 15_000;

/** Calls `heard("street" | "change" | "clock", value)` for each event, `state("live" | "reconnecting" | "gone")` for changes. */
export function follow(heard, state) {
  let waitMs = FIRST_WAIT_MS;
  let gone = null;
  let silent = null;

  function broken() {
    clearTimeout(silent);
    if (gone !== null) return; // it is told already, and tries in vain are no news
    state("reconnecting");
    gone = setTimeout(() => state("gone"), GONE_AFTER_MS);
  }

  function again(source) {
    source.close();
    setTimeout(open, waitMs);
    waitMs = Math.min(LONGEST_WAIT_MS, 2 * waitMs);
  }

  function open() {
    const source = new EventSource("events");
    const watch = () => {
      clearTimeout(silent);
      silent = setTimeout(() => {
        broken();
        again(source);
      }, SILENT_AFTER_MS);
    };
    for (const name of ["street", "change", "clock"]) {
      source.addEventListener(name, (event) => {
        watch();
        clearTimeout(gone);
        gone = null;
        waitMs = FIRST_WAIT_MS;
        heard(name, JSON.parse(event.data));
        state("live");
      });
    }
    source.addEventListener("error", () => {
      broken();
      if (source.readyState === EventSource.CLOSED) again(source);
    });
    watch();
  }

  open();
}
