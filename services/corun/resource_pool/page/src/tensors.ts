// Tensors of the runtime from and to bytes.

import type * as Runtime from "onnxruntime-web";
import type { HostTensor, TensorType } from "./frames";

type Data = Runtime.Tensor.DataTypeMap[Runtime.Tensor.Type];

// Where the browser has Float16Array the runtime wants it, elsewhere the bits.
type HalvesConstructor = new (buffer: ArrayBuffer, byteOffset: number, length: number) => unknown;
const Halves = (globalThis as { Float16Array?: HalvesConstructor }).Float16Array ?? Uint16Array;

const ELEMENT_BYTES: Record<string, number> = { float32: 4, float16: 2, int64: 8, int32: 4, uint8: 1, bool: 1 };

/** A tensor on the host over received bytes; nothing is copied. */
export function toTensor(runtime: typeof Runtime, { type, shape, data }: HostTensor): Runtime.Tensor {
  return new runtime.Tensor(type as "float32", typed(type, data) as Float32Array, shape);
}

/** The tensor's bytes on the host, read back from its device if need be, and the tensor let go of there. */
export async function toHost(tensor: Runtime.Tensor): Promise<HostTensor> {
  const data = bytesOf((await tensor.getData(true)) as ArrayBufferView<ArrayBuffer>);
  return { type: tensor.type as TensorType, shape: tensor.dims, data };
}

/** The bytes under elements; nothing is copied. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>): HostTensor["data"] {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Elements over bytes, as the runtime wants them. */
export function typed(type: TensorType, data: HostTensor["data"]): Data {
  const { buffer, byteOffset, length } = data;
  switch (type) {
    case "float32":
      return new Float32Array(buffer, byteOffset, length / 4);
    case "float16":
      return new Halves(buffer, byteOffset, length / 2) as Data;
    case "int64":
      return new BigInt64Array(buffer, byteOffset, length / 8);
    case "int32":
      return new Int32Array(buffer, byteOffset, length / 4);
    case "uint8":
    case "bool":
      return data;
    default:
      throw new Error(`tensors of type ${String(type)} are not supported`);
  }
}

/** Bytes of a tensor of this type and shape. */
export function byteLength(type: string, shape: readonly number[]): number {
  const size = ELEMENT_BYTES[type];
  if (size === undefined) {
    throw new Error(`tensors of type ${type} are not supported`);
  }
  return shape.reduce((count, dimension) => count * dimension, 1) * size;
}
