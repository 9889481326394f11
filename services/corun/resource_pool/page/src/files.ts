// Model files in a lane: the page fetches each once for all its lanes and lends it to them.

interface Lent {
  url: string;
  file?: SharedArrayBuffer;
  error?: string;
}

const waiting = new Map<string, (lent: Lent) => void>();

globalThis.addEventListener("message", ({ data }: MessageEvent<object>) => {
  if ("url" in data) {
    const lent = data as Lent;
    waiting.get(lent.url)?.(lent);
    waiting.delete(lent.url);
  }
});

/** Gives the bytes of a file to `use`, which must have copied what it needs when it is done. */
export async function withFile<T>(url: string, use: (file: Uint8Array) => Promise<T>): Promise<T> {
  const { file, error } = await borrow(url);
  if (!file) {
    throw new Error(error ?? "the model file could not be fetched");
  }
  try {
    return await use(new Uint8Array(file));
  } finally {
    globalThis.postMessage({ returned: url });
  }
}

function borrow(url: string): Promise<Lent> {
  return new Promise((resolve) => {
    waiting.set(url, resolve);
    globalThis.postMessage({ wanted: url });
  });
}
