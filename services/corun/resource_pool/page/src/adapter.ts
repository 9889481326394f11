// Says what the arithmetic really runs on, so that a software adapter is never taken for a GPU.

export type LanePlatform = "wasm" | "webgpu";

export interface Adapter {
  name: string;
  software: boolean;
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|microsoft basic/i;

/** Names the adapter of a platform; throws with the reason when there is none. */
export async function findAdapter(platform: LanePlatform): Promise<Adapter> {
  if (platform === "wasm") {
    return { name: "CPU (WebAssembly SIMD)", software: false };
  }
  const gpu = navigator.gpu as GPU | undefined;
  if (!gpu) {
    throw new Error("this browser has no navigator.gpu");
  }
  const adapter = await gpu.requestAdapter();
  if (!adapter) {
    throw new Error("this browser found no WebGPU adapter");
  }
  const { vendor, architecture, device, description } = adapter.info;
  const words = [vendor, architecture, device, description].filter((word) => word);
  const name = [...new Set(words)].join(" ") || "unnamed";
  return { name, software: SOFTWARE.test(name) || adapter.info.isFallbackAdapter === true };
}
