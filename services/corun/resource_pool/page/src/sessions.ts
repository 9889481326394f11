// Models of a lane, each behind one session, or one for every shape of its inputs where the platform wants that.

import type * as Runtime from "onnxruntime-web";
import { collectGarbage } from "./collecting";
import type { Backend } from "./platforms";

/** Sizes of the inputs, outermost first; a name stands for a free one. */
export type Dimensions = Record<string, (number | string)[]>;

export type Feeds = Record<string, Runtime.Tensor>;

type Session = Runtime.InferenceSession;
type Options = Runtime.InferenceSession.SessionOptions;

// A session a shape holds the weights once more.
const MOST_SHAPES = 4;

/** Gives the bytes of a model file to `use`, which must have copied what it needs when it is done. */
export type WithFile = <T>(url: string, use: (file: Uint8Array) => Promise<T>) => Promise<T>;

/** A session of a model file on a platform. */
export async function buildSession(
  runtime: typeof Runtime,
  backend: Backend,
  url: string,
  withFile: WithFile,
  options: Options,
): Promise<Session> {
  const all: Options = { executionProviders: [backend.provider], graphOptimizationLevel: "all", ...options };
  const session = await withFile(url, (file) => runtime.InferenceSession.create(file, all));
  await collectGarbage();
  return session;
}

export class Model {
  private readonly sessions = new Map<string, Session>();

  constructor(
    private readonly runtime: typeof Runtime,
    private readonly backend: Backend,
    private readonly url: string,
    private readonly withFile: WithFile,
    private readonly dimensions: Dimensions,
  ) {}

  /** Builds what can be built before the shapes of the inputs are known. */
  async prepare(): Promise<void> {
    if (this.backend.platform !== "webnn") {
      await this.session({}, false);
    }
  }

  /** The session for inputs of these shapes. With `keep`, its outputs stay on the device. */
  async session(feeds: Feeds, keep: boolean): Promise<Session> {
    const shaped = this.backend.platform === "webnn";
    const overrides = shaped ? this.freeDimensions(feeds) : {};
    const key = shaped ? `${String(keep)} ${JSON.stringify(overrides)}` : "";
    let session = this.sessions.get(key);
    if (!session) {
      await this.makeRoom();
      session = await this.build(overrides, keep);
    }
    // The order of a map is that of insertion: the one that was used last goes to the end.
    this.sessions.delete(key);
    this.sessions.set(key, session);
    return session;
  }

  private async makeRoom(): Promise<void> {
    const [oldest] = this.sessions;
    if (this.sessions.size >= MOST_SHAPES && oldest) {
      this.sessions.delete(oldest[0]);
      await oldest[1].release();
    }
  }

  private build(freeDimensionOverrides: Record<string, number>, keep: boolean): Promise<Session> {
    const options: Options = {};
    if (this.backend.platform === "webgpu") {
      options.preferredOutputLocation = "gpu-buffer";
    }
    if (this.backend.platform === "webnn") {
      options.freeDimensionOverrides = freeDimensionOverrides;
      options.preferredOutputLocation = keep ? "ml-tensor" : "cpu";
    }
    return buildSession(this.runtime, this.backend, this.url, this.withFile, options);
  }

  private freeDimensions(feeds: Feeds): Record<string, number> {
    const found: Record<string, number> = {};
    for (const [name, dimensions] of Object.entries(this.dimensions)) {
      dimensions.forEach((dimension, axis) => {
        const size = feeds[name]?.dims[axis];
        if (typeof dimension === "string" && size !== undefined) {
          found[dimension] = size;
        }
      });
    }
    return found;
  }
}
