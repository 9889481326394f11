// The three platforms: which runtime serves each, what it really runs on, and where its tensors can stay.

import type * as Runtime from "onnxruntime-web";
import { waitPromptly } from "./promptness";

export type Platform = "wasm" | "webgpu" | "webnn";
export type StorageType = "cpu" | "webgpu" | "webnn";

/** What the arithmetic really runs on, so that a software adapter is never taken for a GPU. */
export interface Adapter {
  name: string;
  software: boolean;
}

/** A platform that is up. */
export interface Backend {
  platform: Platform;
  storage: StorageType;
  adapter: Adapter;
  provider: Runtime.InferenceSession.ExecutionProviderConfig;
  device?: GPUDevice;
  context?: MLContext;
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|microsoft basic/i;

interface RuntimeFiles {
  script: string;
  wasm: string;
}

const ON_CPU: RuntimeFiles = { script: "ort.wasm.bundle.min.mjs", wasm: "ort-wasm-simd-threaded.wasm" };
const ON_DEVICE: RuntimeFiles = { script: "ort.jspi.bundle.min.mjs", wasm: "ort-wasm-simd-threaded.jspi.wasm" };
// Where WebAssembly cannot wait for a promise, every function is compiled so that it can be left and entered again:
// browsers spend half a minute of a core and 700 MB on the largest ones.
const ON_DEVICE_UNWOUND: RuntimeFiles = {
  script: "ort.webgpu.bundle.min.mjs",
  wasm: "ort-wasm-simd-threaded.asyncify.wasm",
};

function runtimeFiles(platform: Platform): RuntimeFiles {
  if (platform === "wasm") {
    return ON_CPU;
  }
  return "Suspending" in WebAssembly ? ON_DEVICE : ON_DEVICE_UNWOUND;
}

const WANTED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
] as const;
const WANTED_FEATURES = ["shader-f16", "subgroups"] as const;

// y = Identity(x) of one number: a runtime starts when it is given its first model.
const SMALLEST_MODEL = "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=";

/** Starts the runtime of a platform with so many threads. */
export async function startRuntime({ platform, provider }: Backend, width: number): Promise<typeof Runtime> {
  const folder = new URL("runtime/", import.meta.url).href;
  const { script, wasm } = runtimeFiles(platform);
  const runtime = (await import(folder + script)) as typeof Runtime;
  // Only the binary's place: given a folder, the runtime would look for scripts that the bundle contains.
  runtime.env.wasm.wasmPaths = { wasm: folder + wasm };
  runtime.env.wasm.numThreads = width;
  runtime.env.logLevel = "error";
  const model = Uint8Array.from(atob(SMALLEST_MODEL), (character) => character.charCodeAt(0));
  const session = await runtime.InferenceSession.create(model, { executionProviders: [provider] });
  await session.release();
  return runtime;
}

/** Brings a platform up; throws with the reason where it cannot. */
export async function openBackend(platform: Platform): Promise<Backend> {
  switch (platform) {
    case "wasm":
      return { platform, storage: "cpu", adapter: { name: "CPU (WebAssembly SIMD)", software: false }, provider: "wasm" };
    case "webgpu":
      return openWebGpu();
    case "webnn":
      return openWebNn();
  }
}

async function openWebGpu(): Promise<Backend> {
  const gpu = navigator.gpu as GPU | undefined;
  if (!gpu) {
    throw new Error("this browser has no navigator.gpu");
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new Error("this browser found no WebGPU adapter");
  }
  const requiredLimits = Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]]));
  const requiredFeatures = WANTED_FEATURES.filter((name) => adapter.features.has(name)) as GPUFeatureName[];
  const device = await adapter.requestDevice({ requiredLimits, requiredFeatures });
  waitPromptly(device);
  const provider = { name: "webgpu", device } as Runtime.InferenceSession.ExecutionProviderConfig;
  return { platform: "webgpu", storage: "webgpu", adapter: describe(adapter.info), provider, device };
}

function describe(info: GPUAdapterInfo): Adapter {
  const words = [info.vendor, info.architecture, info.device, info.description].filter((word) => word);
  const fallback = info.isFallbackAdapter === true;
  const name = [...new Set(words)].join(" ") || (fallback ? "unnamed software adapter" : "unnamed adapter");
  return { name, software: fallback || SOFTWARE.test(name) };
}

async function openWebNn(): Promise<Backend> {
  const ml = (navigator as { ml?: ML }).ml;
  if (!ml) {
    throw new Error("this browser has no navigator.ml");
  }
  // Other device types are granted too where they do not exist, and run on the CPU in silence.
  const context = await ml.createContext({ deviceType: "cpu" });
  const provider = { name: "webnn", deviceType: "cpu", context } as Runtime.InferenceSession.ExecutionProviderConfig;
  return { platform: "webnn", storage: "webnn", adapter: { name: "CPU (WebNN)", software: false }, provider, context };
}
