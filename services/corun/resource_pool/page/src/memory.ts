// The size of the lane's WebAssembly memory, which only its maker knows: the runtime keeps it to itself.

/** Watches every memory that is made from now on; the function that comes back gives their size in bytes. */
export function watchMemory(): () => number {
  const memories: WebAssembly.Memory[] = [];
  WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
    construct(target, parameters: [WebAssembly.MemoryDescriptor]): WebAssembly.Memory {
      const memory = new target(...parameters);
      memories.push(memory);
      return memory;
    },
  });
  return () => memories.reduce((bytes, memory) => bytes + memory.buffer.byteLength, 0);
}

/** What is to be told of the memory: its size, where it is another than was told before. */
export function tellOfGrowth(wasmBytes: () => number): () => { wasm_bytes?: number } {
  let told = 0;
  return () => {
    const bytes = wasmBytes();
    return bytes === told ? {} : { wasm_bytes: (told = bytes) };
  };
}
