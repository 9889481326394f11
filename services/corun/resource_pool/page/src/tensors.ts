// Tensors of the runtime from and to bytes.

import type * as Runtime from "onnxruntime-web";
import type { HostTensor, TensorType } from "./frames";

type Data = Runtime.Tensor.DataTypeMap[Runtime.Tensor.Type];

/** A tensor on the host over received bytes; nothing is copied. */
export function toTensor(runtime: typeof Runtime, { type, shape, data }: { type: TensorType; shape: readonly number[]; data: ArrayBuffer }): Runtime.Tensor {
  return new runtime.Tensor(type as "float32", typed(type, data) as Float32Array, shape);
}

/** The tensor's bytes on the host, read back from its device if need be, and the tensor let go of there. */
export async function toHost(tensor: Runtime.Tensor): Promise<HostTensor> {
  const data = (await tensor.getData(true)) as ArrayBufferView<ArrayBuffer>;
  return { type: tensor.type as TensorType, shape: tensor.dims, data };
}

/** Elements over bytes, as the runtime wants them. */
export function typed(type: TensorType, data: ArrayBuffer): Data {
  switch (type) {
    case "float32":
      return new Float32Array(data);
    case "float16":
      return halves(data);
    case "int64":
      return new BigInt64Array(data);
    case "int32":
      return new Int32Array(data);
    case "uint8":
    case "bool":
      return new Uint8Array(data);
    default:
      throw new Error(`tensors of type ${String(type)} are not supported`);
  }
}

/** Bytes of a tensor of this type and shape. */
export function byteLength(type: string, shape: readonly number[]): number {
  const sizes: Record<string, number> = { float32: 4, float16: 2, int64: 8, int32: 4, uint8: 1, bool: 1 };
  const size = sizes[type];
  if (size === undefined) {
    throw new Error(`tensors of type ${type} are not supported`);
  }
  return shape.reduce((count, dimension) => count * dimension, 1) * size;
}

// Where the browser has Float16Array the runtime wants it, elsewhere the bits.
function halves(data: ArrayBuffer): Data {
  const Halves = (globalThis as { Float16Array?: new (data: ArrayBuffer) => unknown }).Float16Array;
  return (Halves ? new Halves(data) : new Uint16Array(data)) as Data;
}
