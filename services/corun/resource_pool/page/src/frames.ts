// The messages between a lane and the pool; `frames.py` is the other end and tells how they are laid out.

import { byteLength } from "./tensors";

export type TensorType = "float32" | "float16" | "int64" | "int32" | "uint8" | "bool";

/** A tensor as it crosses the page boundary. */
export interface HostTensor {
  type: TensorType;
  shape: readonly number[];
  data: Uint8Array<ArrayBuffer>;
}

export interface Header {
  id: number;
  [key: string]: unknown;
}

export interface Frame {
  header: Header;
  tensors: Map<string, HostTensor>;
}

type Entry = [name: string, type: TensorType, shape: readonly number[]];

const LENGTH_BYTES = 4;
const ALIGNMENT = 8;
const INLINE_BYTES = 65_536;
const NO_TENSORS: ReadonlyMap<string, HostTensor> = new Map();

const DECODER = new TextDecoder();
const ENCODER = new TextEncoder();

const align = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

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
    const end = message.byteLength - LENGTH_BYTES;
    const length = new DataView(message).getUint32(end, true);
    const text = DECODER.decode(new Uint8Array(message, end - length, length));
    const [header, entries] = JSON.parse(text) as [Header, Entry[]];
    this.frame = { header, tensors: new Map() };
    let offset = 0;
    for (const entry of entries) {
      const [name, type, shape] = entry;
      const size = byteLength(type, shape);
      if (size > INLINE_BYTES) {
        this.waiting.push(entry);
      } else {
        this.frame.tensors.set(name, { type, shape, data: new Uint8Array(message, offset, size) });
        offset += align(size);
      }
    }
  }
}

/** Bytes of tensors that cross the page boundary with a frame. */
export function tensorBytes(tensors: Iterable<{ data: { byteLength: number } }>): number {
  let bytes = 0;
  for (const { data } of tensors) {
    bytes += data.byteLength;
  }
  return bytes;
}

/** Sends a frame. */
export function send(socket: WebSocket, header: Header, tensors: ReadonlyMap<string, HostTensor> = NO_TENSORS): void {
  const entries: Entry[] = [];
  const inline: HostTensor["data"][] = [];
  const apart: HostTensor["data"][] = [];
  let size = 0;
  for (const [name, { type, shape, data }] of tensors) {
    entries.push([name, type, shape]);
    if (data.length > INLINE_BYTES) {
      apart.push(data);
    } else {
      inline.push(data);
      size += align(data.length);
    }
  }
  const text = ENCODER.encode(JSON.stringify([header, entries]));
  const first = new Uint8Array(size + text.length + LENGTH_BYTES);
  let offset = 0;
  for (const data of inline) {
    first.set(data, offset);
    offset += align(data.length);
  }
  first.set(text, size);
  new DataView(first.buffer).setUint32(size + text.length, text.length, true);
  socket.send(first);
  for (const data of apart) {
    socket.send(data);
  }
}
