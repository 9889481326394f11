// The messages between a lane and the pool; `frames.py` is the other end and tells how they are laid out.

import { byteLength } from "./tensors";

// Their indices are what crosses.
const TENSOR_TYPES = ["float32", "float16", "int64", "int32", "uint8", "bool"] as const;
const OPERATIONS = ["", "load", "put", "drop", "run", "share", "read", "free", "echo"] as const;

export type TensorType = (typeof TENSOR_TYPES)[number];

/** A tensor as it crosses the page boundary. */
export interface HostTensor {
  type: TensorType;
  shape: readonly number[];
  data: Uint8Array<ArrayBuffer>;
}

/** What is said beside the tensors, as JSON. */
export type Header = Record<string, unknown>;

export interface Frame {
  id: number;
  operation: string | undefined;
  header: Header;
  tensors: Map<string, HostTensor>;
}

type Entry = [name: string, type: TensorType, shape: readonly number[]];

const WORD_BYTES = 4;
const LAST_WORDS = 4;
const ALIGNMENT = 8;
const INLINE_BYTES = 65_536;
const NO_TENSORS: ReadonlyMap<string, HostTensor> = new Map();

const DECODER = new TextDecoder();
const ENCODER = new TextEncoder();

const align = (length: number): number => (length + ALIGNMENT - 1) & -ALIGNMENT;

/** Puts frames together from the messages of a socket. */
export class FrameReader {
  private frame: Frame | undefined;
  private waiting: Entry[] = [];

  /** Takes the next message; gives the frame that it completes. Its tensors are views of the messages. */
  feed(message: ArrayBuffer): Frame | undefined {
    const expected = this.waiting.shift();
    if (expected && this.frame) {
      const [name, type, shape] = expected;
      this.frame.tensors.set(name, { type, shape, data: new Uint8Array(message) });
    } else {
      this.begin(message);
    }
    return this.waiting.length === 0 ? this.frame : undefined;
  }

  private begin(message: ArrayBuffer): void {
    const words = new Uint32Array(message);
    const end = words.length - LAST_WORDS;
    let at = end;
    const next = (): number => words[at++] as number;
    const textBytes = next();
    const entryWords = next();
    const operation = OPERATIONS[next()];
    const id = next();
    at = end - entryWords;
    const header = textBytes === 0 ? {} : parse(message, at * WORD_BYTES - align(textBytes), textBytes);
    this.frame = { id, operation, header, tensors: new Map() };
    let offset = 0;
    while (at < end) {
      const type = TENSOR_TYPES[next()] as TensorType;
      const dimensions = next();
      const letters = next();
      const shape: number[] = [];
      for (let each = 0; each < dimensions; each++) {
        shape.push(next());
      }
      let name = "";
      for (let each = 0; each < letters; each++) {
        name += String.fromCodePoint(next());
      }
      const size = byteLength(type, shape);
      if (size > INLINE_BYTES) {
        this.waiting.push([name, type, shape]);
      } else {
        this.frame.tensors.set(name, { type, shape, data: new Uint8Array(message, offset, size) });
        offset += align(size);
      }
    }
  }
}

const parse = (message: ArrayBuffer, begin: number, length: number): Header =>
  JSON.parse(DECODER.decode(new Uint8Array(message, begin, length))) as Header;

/** Bytes of tensors that cross the page boundary with a frame. */
export function tensorBytes(tensors: Iterable<{ data: { byteLength: number } }>): number {
  let bytes = 0;
  for (const { data } of tensors) {
    bytes += data.byteLength;
  }
  return bytes;
}

/** Sends a frame. */
export function send(
  socket: WebSocket,
  id: number,
  header: Header,
  tensors: ReadonlyMap<string, HostTensor> = NO_TENSORS,
): void {
  const words: number[] = [];
  const blocks: HostTensor["data"][] = [];
  const apart: HostTensor["data"][] = [];
  let size = 0;
  for (const [name, { type, shape, data }] of tensors) {
    const letters = [...name];
    words.push(TENSOR_TYPES.indexOf(type), shape.length, letters.length, ...shape);
    for (const letter of letters) {
      words.push(letter.codePointAt(0) as number);
    }
    if (data.length > INLINE_BYTES) {
      apart.push(data);
    } else {
      blocks.push(data);
      size += align(data.length);
    }
  }
  let textBytes = 0;
  if (Object.keys(header).length > 0) {
    const text = ENCODER.encode(JSON.stringify(header));
    textBytes = text.length;
    blocks.push(text);
    size += align(textBytes);
  }
  words.push(textBytes, words.length, 0, id);
  const first = new Uint8Array(size + words.length * WORD_BYTES);
  let offset = 0;
  for (const block of blocks) {
    first.set(block, offset);
    offset += align(block.length);
  }
  new Uint32Array(first.buffer, size).set(words);
  socket.send(first);
  for (const data of apart) {
    socket.send(data);
  }
}
