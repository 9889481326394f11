// The binary frames between a lane and the pool: a length, a JSON header, and tensors aligned to 8 bytes.

import type { Tensor, TypedTensor } from "onnxruntime-web";

export type TensorType = "float32" | "float16" | "int64" | "int32" | "uint8" | "bool";

interface TensorHeader {
  name: string;
  type: TensorType;
  shape: number[];
  offset: number;
  length: number;
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

const align = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/** Reads a frame. Tensor data is copied out, so that the frame can be freed. */
export function decode(frame: ArrayBuffer): Frame {
  const headerLength = new DataView(frame).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, PREFIX_BYTES, headerLength))) as Header;
  const body = align(PREFIX_BYTES + headerLength);
  const tensors: Frame["tensors"] = new Map();
  for (const { name, type, shape, offset, length } of header.tensors ?? []) {
    tensors.set(name, { type, shape, data: frame.slice(body + offset, body + offset + length) });
  }
  return { header, tensors };
}

/** Writes a frame. Tensors must be on the CPU. */
export function encode(header: Header, tensors: Record<string, Tensor> = {}): ArrayBuffer {
  let offset = 0;
  const parts: { offset: number; bytes: Uint8Array }[] = [];
  header.tensors = Object.entries(tensors).map(([name, tensor]) => {
    const data = (tensor as TypedTensor<"float32">).data;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const entry = { name, type: tensor.type as TensorType, shape: [...tensor.dims], offset, length: bytes.length };
    parts.push({ offset, bytes });
    offset = align(offset + bytes.length);
    return entry;
  });
  const encoded = new TextEncoder().encode(JSON.stringify(header));
  const body = align(PREFIX_BYTES + encoded.length);
  const frame = new Uint8Array(body + offset);
  new DataView(frame.buffer).setUint32(0, encoded.length, true);
  frame.set(encoded, PREFIX_BYTES);
  for (const part of parts) {
    frame.set(part.bytes, body + part.offset);
  }
  return frame.buffer;
}
