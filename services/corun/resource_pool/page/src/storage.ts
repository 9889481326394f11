// Shared tensors of a lane: each lies once in the memory of the lane's device and is read there under its name.

import type * as Runtime from "onnxruntime-web";
import type { HostTensor, TensorType } from "./frames";
import type { Backend, StorageType } from "./platforms";
import { Refused } from "./refusal";
import { byteLength, bytesOf, toTensor, typed } from "./tensors";

/** What the pool is told of a shared tensor. */
export interface Kept {
  name: string;
  type: string;
  shape: number[];
  bytes: number;
  storage: StorageType;
}

const STORAGE_BY_LOCATION: Record<string, StorageType> = { "gpu-buffer": "webgpu", "ml-tensor": "webnn" };

export class Storage {
  private readonly tensors = new Map<string, Runtime.Tensor>();

  constructor(
    private readonly runtime: typeof Runtime,
    private readonly backend: Backend,
  ) {}

  /** Brings a tensor to the device. */
  async put(name: string, received: HostTensor): Promise<Kept> {
    const { device, context } = this.backend;
    this.checkFree(name);
    if (received.data.length === 0) {
      return this.keep(name, toTensor(this.runtime, received)); // no device has room for nothing
    }
    if (device) {
      return this.keep(name, this.toGpu(device, received));
    }
    return this.keep(name, context ? await this.toMl(context, received) : toTensor(this.runtime, received));
  }

  /** Shares a tensor that lies where it lies. */
  keep(name: string, tensor: Runtime.Tensor): Kept {
    this.tensors.set(name, tensor);
    const storage = STORAGE_BY_LOCATION[tensor.location] ?? "cpu";
    return { name, type: tensor.type, shape: [...tensor.dims], bytes: byteLength(tensor.type, tensor.dims), storage };
  }

  /** Returns when no tensor has this name. */
  checkFree(name: string): void {
    if (this.tensors.has(name)) {
      throw new Refused(`a tensor is already shared as ${name}`);
    }
  }

  get(name: string): Runtime.Tensor {
    const tensor = this.tensors.get(name);
    if (!tensor) {
      throw new Refused(`no tensor is shared as ${name} in this lane`);
    }
    return tensor;
  }

  /** The elements of a tensor, which stays where it is: the runtime's own way would move it to the host. */
  async read(name: string): Promise<HostTensor> {
    const tensor = this.get(name);
    const { device, context } = this.backend;
    const about = { type: tensor.type as TensorType, shape: tensor.dims };
    if (device && tensor.location === "gpu-buffer") {
      const buffer = tensor.gpuBuffer as unknown as GPUBuffer;
      return { ...about, data: await readBuffer(device, buffer, byteLength(tensor.type, tensor.dims)) };
    }
    if (context && tensor.location === "ml-tensor") {
      return { ...about, data: new Uint8Array(await context.readTensor(tensor.mlTensor as unknown as MLTensor)) };
    }
    return { ...about, data: bytesOf(tensor.data as ArrayBufferView<ArrayBuffer>) };
  }

  free(name: string): void {
    this.tensors.get(name)?.dispose();
    this.tensors.delete(name);
  }

  private toGpu(device: GPUDevice, { type, shape, data }: HostTensor): Runtime.Tensor {
    const size = Math.max(16, Math.ceil(data.length / 16) * 16);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = device.createBuffer({ size, usage });
    const padded = data.length % 4 === 0 ? data : padTo4(data);
    device.queue.writeBuffer(buffer, 0, padded);
    const dataType = type as Runtime.Tensor.GpuBufferDataTypes;
    const download = async () => typed(type, await readBuffer(device, buffer, data.length)) as never;
    const dispose = (): void => buffer.destroy();
    return this.runtime.Tensor.fromGpuBuffer(buffer as never, { dataType, dims: shape, download, dispose });
  }

  private async toMl(context: MLContext, { type, shape, data }: HostTensor): Promise<Runtime.Tensor> {
    const dataType = (type === "bool" ? "uint8" : type) as MLOperandDataType;
    const tensor = await context.createTensor({ dataType, shape, writable: true, readable: true });
    context.writeTensor(tensor, data);
    const download = async () => typed(type, new Uint8Array(await context.readTensor(tensor))) as never;
    const dispose = (): void => tensor.destroy();
    return this.runtime.Tensor.fromMLTensor(tensor as never, { dataType: type as never, dims: shape, download, dispose });
  }
}

function padTo4(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = new Uint8Array(Math.ceil(data.length / 4) * 4);
  padded.set(data);
  return padded;
}

async function readBuffer(device: GPUDevice, buffer: GPUBuffer, length: number): Promise<HostTensor["data"]> {
  const size = Math.ceil(length / 4) * 4;
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  const commands = device.createCommandEncoder();
  commands.copyBufferToBuffer(buffer, 0, staging, 0, size);
  device.queue.submit([commands.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const data = new Uint8Array(staging.getMappedRange().slice(0, length));
  staging.destroy();
  return data;
}
