// A lane: one worker with its own inference runtime and thread count. Requests come from the pool over a
// socket and are answered strictly one after another, because a runtime runs one inference at a time.

import type * as Runtime from "onnxruntime-web";
import { FrameReader, send, tensorBytes, type Frame, type Header, type HostTensor } from "./frames";
import { tellOfGrowth, watchMemory } from "./memory";
import { withFile } from "./files";
import { openBackend, startRuntime, type Backend, type Platform } from "./platforms";
import { inWords, Refused } from "./refusal";
import { Seq2Seq, sessionOptions, type Parts, type Recipe } from "./seq2seq";
import { buildSession, Model, type Dimensions, type Feeds } from "./sessions";
import { Storage, type Kept } from "./storage";
import { toHost, toTensor } from "./tensors";
import { letPageMakeThreads } from "./threads";

export interface LaneOptions {
  lane: string;
  platform: Platform;
  width: number;
}

// Of frames that answer nothing.
const UNASKED = 0;

type Reply = [header: Header, tensors?: ReadonlyMap<string, HostTensor>];

class Lane {
  private readonly models = new Map<string, Model>();
  private readonly sequences = new Map<string, Seq2Seq>();
  private readonly slots = new Map<string, Feeds>();
  private readonly storage: Storage;

  private constructor(
    private readonly runtime: typeof Runtime,
    readonly backend: Backend,
  ) {
    this.storage = new Storage(runtime, backend);
  }

  static async open({ platform, width }: LaneOptions): Promise<Lane> {
    const backend = await openBackend(platform);
    return new Lane(await startRuntime(backend, width), backend);
  }

  async answer({ operation, header, tensors }: Frame): Promise<Reply> {
    switch (operation) {
      case "load":
        return this.load(header);
      case "put":
        this.slots.set(header.slot as string, this.toFeeds(tensors));
        return [{}];
      case "drop":
        this.slots.delete(header.slot as string);
        return [{}];
      case "run":
        return this.run(header as unknown as RunRequest, tensors);
      case "share":
        return this.share(tensors);
      case "read":
        return [{}, new Map([[header.name as string, await this.storage.read(header.name as string)]])];
      case "free":
        this.storage.free(header.name as string);
        return [{}];
      case "echo":
        return [{}, tensors];
      default:
        throw new Refused(`unknown operation ${String(operation)}`);
    }
  }

  private async load(header: Header): Promise<Reply> {
    const begin = performance.now();
    await (header.parts ? this.loadParts(header) : this.loadModel(header));
    const load_ms = performance.now() - begin;
    return [{ load_ms }];
  }

  private async loadModel({ model, url, dimensions }: Header): Promise<void> {
    const loaded = new Model(this.runtime, this.backend, url as string, withFile, dimensions as Dimensions);
    await loaded.prepare();
    this.models.set(model as string, loaded);
  }

  private async loadParts({ model, parts, recipe, on_device }: Header): Promise<void> {
    const options = sessionOptions(recipe as Recipe, this.backend.platform, on_device !== false);
    const { runtime, backend } = this;
    const encoder = await buildSession(runtime, backend, (parts as Parts).encoder, withFile, options.encoder);
    const decoder = await buildSession(runtime, backend, (parts as Parts).decoder, withFile, options.decoder);
    this.sequences.set(model as string, new Seq2Seq(runtime, encoder, decoder, recipe as Recipe));
  }

  private async run(request: RunRequest, received: Frame["tensors"]): Promise<Reply> {
    const feeds = this.feeds(request, received);
    const keep = request.keep ?? {};
    const session = await this.runner(request.model, feeds, Object.keys(keep).length > 0);
    this.checkKept(keep, session);
    const begin = performance.now();
    const outputs = (await session.run(feeds)) as Feeds;
    const [kept, fetched] = await this.finish(outputs, keep, request.fetch === true);
    const run_ms = performance.now() - begin;
    const zero_copy = Object.keys(request.shared ?? {}).every((input) => feeds[input]?.location !== "cpu");
    const bytes = tensorBytes(received.values()) + tensorBytes(fetched.values());
    return [{ run_ms, kept, zero_copy: request.shared !== undefined && zero_copy, boundary_bytes: bytes }, fetched];
  }

  private async runner(name: string, feeds: Feeds, keep: boolean): Promise<Runtime.InferenceSession | Seq2Seq> {
    const found = this.sequences.get(name) ?? (await this.models.get(name)?.session(feeds, keep));
    if (!found) {
      throw new Refused(`model ${name} is not loaded in this lane`);
    }
    return found;
  }

  private feeds(request: RunRequest, received: Frame["tensors"]): Feeds {
    const slot = request.slot === undefined ? {} : this.slots.get(request.slot);
    if (!slot) {
      throw new Refused(`no inputs in slot ${String(request.slot)}`);
    }
    const feeds = { ...slot, ...this.toFeeds(received) };
    for (const [input, name] of Object.entries(request.shared ?? {})) {
      feeds[input] = this.storage.get(name);
    }
    return feeds;
  }

  private checkKept(keep: Record<string, string>, session: Runtime.InferenceSession | Seq2Seq): void {
    for (const [output, name] of Object.entries(keep)) {
      if (!session.outputNames.includes(output)) {
        throw new Refused(`the model has no output ${output}; it has ${session.outputNames.join(", ")}`);
      }
      this.storage.checkFree(name);
    }
  }

  /** Waits until the device is done; keeps what is to stay, reads back what is asked for, lets go of the rest. */
  private async finish(
    outputs: Feeds,
    keep: Record<string, string>,
    fetch: boolean,
  ): Promise<[Kept[], Map<string, HostTensor>]> {
    const kept: Kept[] = [];
    const fetched = new Map<string, HostTensor>();
    for (const [output, tensor] of Object.entries(outputs)) {
      const name = keep[output];
      if (name !== undefined) {
        kept.push(this.storage.keep(name, tensor));
      } else if (fetch) {
        fetched.set(output, await toHost(tensor));
      } else {
        tensor.dispose();
      }
    }
    if (fetched.size === 0) {
      await this.backend.device?.queue.onSubmittedWorkDone();
    }
    if (this.backend.context && kept.length > 0) {
      // WebNN has no other way to wait for its device than to read what it made.
      const smallest = kept.reduce((least, each) => (each.bytes < least.bytes ? each : least));
      await this.storage.read(smallest.name);
    }
    return [kept, fetched];
  }

  private async share(tensors: Frame["tensors"]): Promise<Reply> {
    const kept: Kept[] = [];
    for (const [name, tensor] of tensors) {
      kept.push(await this.storage.put(name, tensor));
    }
    return [{ kept }];
  }

  private toFeeds(received: Frame["tensors"]): Feeds {
    return Object.fromEntries([...received].map(([name, tensor]) => [name, toTensor(this.runtime, tensor)]));
  }
}

interface RunRequest {
  model: string;
  slot?: string;
  shared?: Record<string, string>;
  keep?: Record<string, string>;
  fetch?: boolean;
}

/** Connects a lane to the pool. One failed answer does not harm those behind it. */
async function serve(options: LaneOptions): Promise<void> {
  const socket = new WebSocket(new URL(`../lanes/${options.lane}`, import.meta.url).href.replace(/^http/, "ws"));
  socket.binaryType = "arraybuffer";
  await new Promise((resolve) => (socket.onopen = resolve));
  letPageMakeThreads();
  const grownMemory = tellOfGrowth(watchMemory());
  let lane: Lane;
  try {
    lane = await Lane.open(options);
  } catch (error) {
    send(socket, UNASKED, { error: inWords(error) });
    return;
  }
  void lane.backend.device?.lost.then(({ reason, message }) => {
    send(socket, UNASKED, { event: "device_lost", reason: `${reason}: ${message}` });
  });
  const answerOne = async (frame: Frame): Promise<void> => {
    try {
      const [header, tensors] = await lane.answer(frame);
      send(socket, frame.id, { ...header, ...grownMemory() }, tensors);
    } catch (error) {
      const refused = error instanceof Refused;
      send(socket, frame.id, { error: inWords(error), refused, ...grownMemory() });
    }
  };
  const reader = new FrameReader();
  let previous: Promise<void> = Promise.resolve();
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
    const frame = reader.feed(data);
    if (frame) {
      previous = previous.then(() => answerOne(frame));
    }
  };
  send(socket, UNASKED, { ...lane.backend.adapter, isolated: globalThis.crossOriginIsolated, ...grownMemory() });
}

globalThis.addEventListener("message", ({ data }: MessageEvent<LaneOptions | object>) => {
  if ("lane" in data) {
    void serve(data);
  }
});
