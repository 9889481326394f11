// A lane: one worker with its own inference runtime and thread count. Requests come from the pool over a
// socket and are answered strictly one after another, because a runtime runs one inference at a time.

import type * as Runtime from "onnxruntime-web";
import { findAdapter, type Adapter, type LanePlatform } from "./adapter";
import { decode, encode, type Frame, type Header } from "./frames";
import { outputLocations, Seq2Seq, type Parts, type Recipe } from "./seq2seq";

export interface LaneOptions {
  lane: string;
  platform: LanePlatform;
  width: number;
}

type Reply = [header: Record<string, unknown>, tensors?: Record<string, Runtime.Tensor>];

const RUNTIME_FILES: Record<LanePlatform, { script: string; wasm: string }> = {
  wasm: { script: "ort.wasm.bundle.min.mjs", wasm: "ort-wasm-simd-threaded.wasm" },
  webgpu: { script: "ort.webgpu.bundle.min.mjs", wasm: "ort-wasm-simd-threaded.asyncify.wasm" },
};

class Lane {
  private readonly sessions = new Map<string, Runtime.InferenceSession>();
  private readonly seq2seqs = new Map<string, Seq2Seq>();
  private readonly inputs = new Map<string, Record<string, Runtime.Tensor>>();

  private constructor(
    private readonly runtime: typeof Runtime,
    private readonly platform: LanePlatform,
    readonly adapter: Adapter,
  ) {}

  static async open({ platform, width }: LaneOptions): Promise<Lane> {
    const adapter = await findAdapter(platform);
    const folder = new URL("runtime/", import.meta.url).href;
    const { script, wasm } = RUNTIME_FILES[platform];
    const runtime = (await import(folder + script)) as typeof Runtime;
    // Only the binary's place: given a folder, the runtime would look for scripts that the bundle contains.
    runtime.env.wasm.wasmPaths = { wasm: folder + wasm };
    runtime.env.wasm.numThreads = width;
    runtime.env.logLevel = "error";
    return new Lane(runtime, platform, adapter);
  }

  async answer({ header, tensors }: Frame): Promise<Reply> {
    switch (header.op) {
      case "load":
        return header.parts ? this.loadParts(header) : this.load(header.model as string, header.url as string);
      case "put":
        return this.put(header.slot as string, tensors);
      case "run":
        return this.run(header.model as string, header.slot as string, header.fetch === true);
      case "echo":
        return [{}, this.toTensors(tensors)];
      default:
        throw new Error(`unknown operation ${String(header.op)}`);
    }
  }

  private async load(model: string, url: string): Promise<Reply> {
    const begin = performance.now();
    this.sessions.set(model, await this.createSession(url));
    const load_ms = performance.now() - begin;
    // The file was copied into the runtime's memory; its own is as large as the weights and may go at once.
    (globalThis as { gc?: () => void }).gc?.();
    return [{ load_ms }];
  }

  private async loadParts({ model, parts, recipe, on_device }: Header): Promise<Reply> {
    const begin = performance.now();
    const options = outputLocations(recipe as Recipe, on_device !== false && this.platform === "webgpu");
    const encoder = await this.createSession((parts as Parts).encoder, options.encoder);
    const decoder = await this.createSession((parts as Parts).decoder, options.decoder);
    this.seq2seqs.set(model as string, new Seq2Seq(this.runtime, encoder, decoder, recipe as Recipe));
    const load_ms = performance.now() - begin;
    (globalThis as { gc?: () => void }).gc?.();
    return [{ load_ms }];
  }

  private async createSession(
    url: string,
    options: Runtime.InferenceSession.SessionOptions = {},
  ): Promise<Runtime.InferenceSession> {
    const response = await fetch(url);
    if (!response.ok) {
      throw new Error(`the model file could not be fetched: HTTP ${response.status}`);
    }
    return this.runtime.InferenceSession.create(new Uint8Array(await response.arrayBuffer()), {
      executionProviders: [this.platform],
      graphOptimizationLevel: "all",
      ...options,
    });
  }

  private put(slot: string, tensors: Frame["tensors"]): Reply {
    this.inputs.set(slot, this.toTensors(tensors));
    return [{}];
  }

  private async run(model: string, slot: string, fetch: boolean): Promise<Reply> {
    const session = this.seq2seqs.get(model) ?? this.session(model);
    const inputs = this.inputs.get(slot);
    if (!inputs) {
      throw new Error(`no inputs in slot ${slot}`);
    }
    const begin = performance.now();
    const outputs = (await session.run(inputs)) as Record<string, Runtime.Tensor>;
    const run_ms = performance.now() - begin;
    return fetch ? [{ run_ms }, outputs] : [{ run_ms }];
  }

  private session(model: string): Runtime.InferenceSession {
    const session = this.sessions.get(model);
    if (!session) {
      throw new Error(`model ${model} is not loaded in this lane`);
    }
    return session;
  }

  private toTensors(tensors: Frame["tensors"]): Record<string, Runtime.Tensor> {
    const found: Record<string, Runtime.Tensor> = {};
    for (const [name, { type, shape, data }] of tensors) {
      found[name] = new this.runtime.Tensor(type as "float32", typed(type, data) as Float32Array, shape);
    }
    return found;
  }
}

function typed(type: string, data: ArrayBuffer): ArrayBufferView {
  switch (type) {
    case "float32":
      return new Float32Array(data);
    case "float16":
      return new Uint16Array(data);
    case "int64":
      return new BigInt64Array(data);
    case "int32":
      return new Int32Array(data);
    case "uint8":
    case "bool":
      return new Uint8Array(data);
    default:
      throw new Error(`tensors of type ${type} are not supported`);
  }
}

function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Connects a lane to the pool. One failed answer does not harm those behind it. */
async function serve(options: LaneOptions): Promise<void> {
  const socket = new WebSocket(new URL(`../lanes/${options.lane}`, import.meta.url).href.replace(/^http/, "ws"));
  socket.binaryType = "arraybuffer";
  await new Promise((resolve) => (socket.onopen = resolve));
  let lane: Lane;
  try {
    lane = await Lane.open(options);
  } catch (error) {
    socket.send(encode({ id: 0, error: inWords(error) }));
    return;
  }
  let previous: Promise<void> = Promise.resolve();
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
    const frame = decode(data);
    const answerOne = async (): Promise<void> => {
      let reply: ArrayBuffer;
      try {
        const [header, tensors] = await lane.answer(frame);
        reply = encode({ ...header, id: frame.header.id }, tensors);
      } catch (error) {
        reply = encode({ id: frame.header.id, error: inWords(error) });
      }
      socket.send(reply);
    };
    previous = previous.then(answerOne);
  };
  const hello: Header = { id: 0, ...lane.adapter, isolated: globalThis.crossOriginIsolated };
  socket.send(encode(hello));
}

globalThis.onmessage = ({ data }: MessageEvent<LaneOptions>) => void serve(data);
