// A connection's page. It opens and closes lanes; the lanes talk to the pool themselves.

import type { LaneOptions } from "./lane";

const lanes = new Map<string, Worker>();

/** Starts a lane. It reports to the pool over its own socket; only failing to start is told here. */
function openLane(options: LaneOptions): void {
  const worker = new Worker(new URL("lane.js", import.meta.url), { type: "module", name: options.lane });
  worker.onerror = (event) => console.error(`lane ${options.lane}: ${event.message}`);
  lanes.set(options.lane, worker);
  worker.postMessage(options);
}

/** Ends a lane and gives its memory back. */
function closeLane(lane: string): void {
  lanes.get(lane)?.terminate();
  lanes.delete(lane);
}

Object.assign(globalThis, { corun: { openLane, closeLane, isolated: globalThis.crossOriginIsolated } });
