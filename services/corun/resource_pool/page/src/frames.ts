// The messages between a lane and the pool. A frame is a binary message with a length, a JSON header and the small
// tensors, aligned to 8 bytes; each large tensor follows as a message of its own, so that nothing is copied together.

export type TensorType = "float32" | "float16" | "int64" | "int32" | "uint8" | "bool";

/** A tensor as it crosses the page boundary. */
export interface HostTensor {
  type: TensorType;
  shape: readonly number[];
  data: ArrayBuffer | ArrayBufferView<ArrayBuffer>;
}

interface TensorHeader {
  name: string;
  type: TensorType;
  shape: number[];
  length: number;
  /** Place in the frame; absent when the tensor is a message of its own. */
  offset?: number;
}

export interface Header {
  id: number;
  tensors?: TensorHeader[];
  [key: string]: unknown;
}

export interface Frame {
  header: Header;
  tensors: Map<string, { type: TensorType; shape: number[]; data: ArrayBuffer }>;
}

const PREFIX_BYTES = 8;
const ALIGNMENT = 8;
const INLINE_BYTES = 65_536;

const align = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/** Puts frames together from the messages of a socket. */
export class FrameReader {
  private frame: Frame | undefined;
  private waiting: TensorHeader[] = [];

  /** Takes the next message; gives the frame that it completes. */
  feed(message: ArrayBuffer): Frame | undefined {
    const expected = this.waiting.shift();
    if (expected && this.frame) {
      this.frame.tensors.set(expected.name, { type: expected.type, shape: expected.shape, data: message });
    } else {
      this.begin(message);
    }
    return this.waiting.length === 0 ? this.frame : undefined;
  }

  private begin(message: ArrayBuffer): void {
    const headerLength = new DataView(message).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(message, PREFIX_BYTES, headerLength))) as Header;
    const body = align(PREFIX_BYTES + headerLength);
    this.frame = { header, tensors: new Map() };
    for (const entry of header.tensors ?? []) {
      if (entry.offset === undefined) {
        this.waiting.push(entry);
      } else {
        const data = message.slice(body + entry.offset, body + entry.offset + entry.length);
        this.frame.tensors.set(entry.name, { type: entry.type, shape: entry.shape, data });
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
export function send(socket: WebSocket, header: Header, tensors: Record<string, HostTensor> = {}): void {
  let offset = 0;
  const inline: { offset: number; bytes: Uint8Array }[] = [];
  const apart: HostTensor["data"][] = [];
  header.tensors = Object.entries(tensors).map(([name, { type, shape, data }]) => {
    const entry: TensorHeader = { name, type, shape: [...shape], length: data.byteLength };
    if (data.byteLength > INLINE_BYTES) {
      apart.push(data);
      return entry;
    }
    entry.offset = offset;
    inline.push({ offset, bytes: bytesOf(data) });
    offset = align(offset + data.byteLength);
    return entry;
  });
  const encoded = new TextEncoder().encode(JSON.stringify(header));
  const body = align(PREFIX_BYTES + encoded.length);
  const frame = new Uint8Array(body + offset);
  new DataView(frame.buffer).setUint32(0, encoded.length, true);
  frame.set(encoded, PREFIX_BYTES);
  for (const part of inline) {
    frame.set(part.bytes, body + part.offset);
  }
  socket.send(frame);
  for (const data of apart) {
    socket.send(data);
  }
}

function bytesOf(data: HostTensor["data"]): Uint8Array {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
}
