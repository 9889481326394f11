// A connection's page. It opens and closes lanes and lends them model files; the lanes talk to the pool themselves.

import type { LaneOptions } from "./lane";
import { Library } from "./library";

const lanes = new Map<string, Worker>();
const library = new Library();

/** Starts a lane. It reports to the pool over its own socket; only failing to start is told here. */
function openLane(options: LaneOptions): void {
  const script = options.platform === "webnn" ? "lane-webnn.js" : "lane.js";
  const worker = new Worker(new URL(script, import.meta.url), { type: "module", name: options.lane });
  worker.onerror = (event) => console.error(`lane ${options.lane}: ${event.message}`);
  worker.onmessage = ({ data }: MessageEvent<{ wanted?: string; returned?: string }>) => {
    if (data.wanted !== undefined) {
      void library.lend(data.wanted, worker);
    } else if (data.returned !== undefined) {
      library.takeBack(data.returned, worker);
    }
  };
  lanes.set(options.lane, worker);
  worker.postMessage(options);
}

/** Ends a lane and gives its memory back. */
function closeLane(lane: string): void {
  const worker = lanes.get(lane);
  if (worker) {
    worker.terminate();
    library.forget(worker);
    lanes.delete(lane);
  }
}

Object.assign(globalThis, { corun: { openLane, closeLane, isolated: globalThis.crossOriginIsolated } });
