// A model in two parts: the encoder runs once an item, then the decoder once a token, each time with the likeliest
// token before, all inside the lane. What one run leaves for the next can stay on the device.

import type * as Runtime from "onnxruntime-web";

type Tensor = Runtime.Tensor;
type Tensors = Record<string, Tensor>;
type Session = Runtime.InferenceSession;
type Options = Runtime.InferenceSession.SessionOptions;

/** An input of the decoder, the output that renews it, and its shape while it is empty. */
interface CacheTensor {
  past: string;
  present: string;
  shape: number[];
  /** Made by the first step and renewed by no other. */
  kept: boolean;
}

/** Which tensor is which; "" is none. The pool checked them against the graphs. */
export interface Recipe {
  start: number[];
  end: number;
  encoder_mask: string;
  encoder_output: string;
  decoder_tokens: string;
  decoder_states: string;
  decoder_mask: string;
  logits: string;
  switch: string;
  cache: CacheTensor[];
}

export interface Parts {
  encoder: string;
  decoder: string;
}

/**
 * Session options of both parts on a platform: with `onDevice` their results for each other stay in the GPU's memory.
 * A WebNN graph is of one shape, and what the decoder has written grows with every token: node by node it takes 2.4
 * times as long there as on WebAssembly.
 */
export function sessionOptions(
  recipe: Recipe,
  platform: string,
  onDevice: boolean,
): { encoder: Options; decoder: Options } {
  if (platform === "webnn") {
    return { encoder: {}, decoder: { executionProviders: ["wasm"] } };
  }
  if (platform !== "webgpu" || !onDevice) {
    return { encoder: {}, decoder: {} };
  }
  const kept = Object.fromEntries(recipe.cache.map(({ present }) => [present, "gpu-buffer" as const]));
  return {
    encoder: { preferredOutputLocation: { [recipe.encoder_output]: "gpu-buffer" } },
    decoder: { preferredOutputLocation: { ...kept, [recipe.logits]: "cpu" } },
  };
}

export class Seq2Seq {
  readonly outputNames: readonly string[] = ["tokens"];

  constructor(
    private readonly runtime: typeof Runtime,
    private readonly encoder: Session,
    private readonly decoder: Session,
    private readonly recipe: Recipe,
  ) {}

  /**
   * Tokens int64 [batch, longest] without the start, filled up with the end token. Items run one after another:
   * 8-bit graphs scale a batch by its largest value, so that an item's result would depend on its neighbours.
   */
  async run({ min_tokens, max_tokens, ...inputs }: Tensors): Promise<Tensors> {
    if (!min_tokens || !max_tokens) {
      throw new Error("min_tokens and max_tokens are missing");
    }
    const [least, most] = [await valuesOf(min_tokens), await valuesOf(max_tokens)];
    const rows: number[][] = [];
    for (const [row, limit] of most.entries()) {
      rows.push(await this.runItem(await this.item(inputs, row), least[row] ?? 0, limit));
    }
    const longest = Math.max(...rows.map((row) => row.length));
    const padded = rows.flatMap((row) => [...row, ...Array<number>(longest - row.length).fill(this.recipe.end)]);
    return { tokens: this.integers(padded, [rows.length, longest]) };
  }

  /** One item of a batch, cut to what the mask says it has. */
  private async item(inputs: Tensors, row: number): Promise<Tensors> {
    const mask = inputs[this.recipe.encoder_mask];
    const length = mask && (await valuesOf(mask, row)).filter((each) => each === 1).length;
    const found: Tensors = {};
    for (const [name, tensor] of Object.entries(inputs)) {
      const inner = tensor.dims.slice(1);
      const whole = await rowOf(tensor, row);
      const cut = length !== undefined && inner.length === 1 && inner[0] === mask?.dims[1];
      const data = cut ? whole.subarray(0, length) : whole;
      found[name] = this.tensor(tensor.type, data, [1, ...(cut ? [length] : inner)]);
    }
    return found;
  }

  private async runItem(inputs: Tensors, least: number, most: number): Promise<number[]> {
    const { encoder_output, encoder_mask, decoder_mask, decoder_states } = this.recipe;
    const states = pick(await this.encoder.run(inputs, [encoder_output]), encoder_output);
    const fixed: Tensors = { [decoder_states]: states };
    if (decoder_mask) {
      fixed[decoder_mask] = pick(inputs, encoder_mask);
    }
    try {
      return await this.decode(fixed, least, most);
    } finally {
      states.dispose();
    }
  }

  private async decode(fixed: Tensors, least: number, most: number): Promise<number[]> {
    const { start, end, cache } = this.recipe;
    const past: Tensors = {};
    for (const each of cache) {
      past[each.past] = this.tensor("float32", new Float32Array(0), each.shape);
    }
    const tokens: number[] = [];
    try {
      while (tokens.length < most && tokens.at(-1) !== end) {
        const first = tokens.length === 0;
        const fed = first ? start : cache.length ? tokens.slice(-1) : [...start, ...tokens];
        const logits = await this.step(fixed, past, fed, first);
        tokens.push(likeliest(logits, tokens.length < least ? end : -1));
      }
    } finally {
      Object.values(past).forEach((tensor) => tensor.dispose());
    }
    return tokens;
  }

  /** Runs the decoder, renews `past`, and gives back the logits behind the last token. */
  private async step(fixed: Tensors, past: Tensors, fed: number[], first: boolean): Promise<Float32Array> {
    const { decoder_tokens, logits, cache } = this.recipe;
    const feeds: Tensors = { ...fixed, ...past, [decoder_tokens]: this.integers(fed, [1, fed.length]) };
    if (this.recipe.switch) {
      feeds[this.recipe.switch] = this.tensor("bool", Uint8Array.of(first ? 0 : 1), [1]);
    }
    const renewed = cache.filter((each) => first || !each.kept);
    const outputs = await this.decoder.run(feeds, [logits, ...renewed.map((each) => each.present)]);
    for (const each of renewed) {
      pick(past, each.past).dispose();
      past[each.past] = pick(outputs, each.present);
    }
    const { data, dims } = pick(outputs, logits);
    return (data as Float32Array).subarray(-(dims.at(-1) ?? 0));
  }

  private tensor(type: string, data: ArrayBufferView, shape: readonly number[]): Tensor {
    return new this.runtime.Tensor(type as "float32", data as Float32Array, shape);
  }

  private integers(values: number[], shape: number[]): Tensor {
    return this.tensor("int64", BigInt64Array.from(values, BigInt), shape);
  }
}

function pick(tensors: Runtime.InferenceSession.ReturnType, name: string): Tensor {
  const found = tensors[name];
  if (!found) {
    throw new Error(`there is no tensor ${name}`);
  }
  return found as Tensor;
}

/** Elements of one row of a tensor, which may be a shared one that lies on the device. */
async function rowOf(tensor: Tensor, row: number): Promise<Float32Array> {
  const size = tensor.dims.slice(1).reduce((product, each) => product * each, 1);
  return ((await tensor.getData()) as Float32Array).subarray(row * size, (row + 1) * size);
}

/** An int64 tensor of rank one, or one row of rank two, as numbers. */
async function valuesOf(tensor: Tensor, row?: number): Promise<number[]> {
  const data = row === undefined ? await tensor.getData() : await rowOf(tensor, row);
  return Array.from(data as unknown as BigInt64Array, Number);
}

/** The place of the largest value, `excluded` left out. */
function likeliest(scores: Float32Array, excluded: number): number {
  let best = -1;
  let most = -Infinity;
  for (let token = 0; token < scores.length; token++) {
    const score = scores[token] as number;
    if (score > most && token !== excluded) {
      best = token;
      most = score;
    }
  }
  if (best < 0) {
    throw new Error("the decoder's scores are not numbers");
  }
  return best;
}
