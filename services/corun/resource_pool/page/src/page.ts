// A connection's page. It opens and closes lanes and lends them model files; the lanes talk to the pool themselves.

import type { LaneOptions } from "./lane";
import { Library } from "./library";
import { Threads, type ThreadMessage } from "./threads";

const lanes = new Map<string, { worker: Worker; threads: Threads }>();
const library = new Library();

/** Starts a lane. It reports to the pool over its own socket; only failing to start is told here. */
function openLane(options: LaneOptions): void {
  const script = options.platform === "webnn" ? "lane-webnn.js" : "lane.js";
  const worker = new Worker(new URL(script, import.meta.url), { type: "module", name: options.lane });
  worker.onerror = (event) => console.error(`lane ${options.lane}: ${event.message}`);
  const threads = new Threads(worker);
  worker.onmessage = ({ data }: MessageEvent<{ wanted: string } | { returned: string } | ThreadMessage>) => {
    if ("wanted" in data) {
      void library.lend(data.wanted, worker);
    } else if ("returned" in data) {
      library.takeBack(data.returned, worker);
    } else {
      threads.hear(data);
    }
  };
  lanes.set(options.lane, { worker, threads });
  worker.postMessage(options);
}

/** Ends a lane and gives its memory back. */
function closeLane(lane: string): void {
  const open = lanes.get(lane);
  if (open) {
    open.worker.terminate();
    open.threads.end();
    library.forget(open.worker);
    lanes.delete(lane);
  }
}

Object.assign(globalThis, { corun: { openLane, closeLane, isolated: globalThis.crossOriginIsolated } });
