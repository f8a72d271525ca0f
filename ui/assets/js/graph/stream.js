// The event stream of graph frames: opens it, notices when it is silent, and comes back by itself.

const SILENT = 5000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;

/** `told(state, detail)`: state is waiting, live, lost or paused. `open(parameters)` starts or restarts. */
export function graphStream(received, told) {
  let source = null;
  let parameters = null;
  let paused = false;
  let wait = FIRST_WAIT;
  let retry = 0;
  let watchdog = 0;
  let latest = null;

  function close() {
    source?.close();
    source = null;
    clearTimeout(retry);
    clearTimeout(watchdog);
  }

  function lost() {
    told("lost", latest);
    close();
    retry = setTimeout(connect, wait);
    wait = Math.min(LONGEST_WAIT, wait * 2);
  }

  function watch() {
    clearTimeout(watchdog);
    watchdog = setTimeout(lost, SILENT);
  }

  function connect() {
    close();
    if (paused || document.hidden || !parameters) return;
    if (latest === null) told("waiting", null);
    source = new EventSource(`/api/graph/stream?${new URLSearchParams(parameters)}`);
    watch();
    source.addEventListener("graph", (event) => {
      let frame;
      try {
        frame = JSON.parse(event.data);
      } catch {
        return lost();
      }
      latest = new Date();
      wait = FIRST_WAIT;
      watch();
      told("live", latest);
      received(frame);
    });
    source.onerror = lost;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : connect()));
  addEventListener("pagehide", close);
  return {
    open(next) {
      parameters = next;
      connect();
    },
    pause(now) {
      paused = now;
      if (paused) {
        close();
        told("paused", latest);
      } else connect();
    },
    isPaused: () => paused,
  };
}
