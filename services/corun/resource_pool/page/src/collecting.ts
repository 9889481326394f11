// Asking for garbage collection, where the browser lets us.

interface Collection {
  gc?: (how: { type: "major"; execution: "async" }) => Promise<void>;
}

/** Frees what nobody refers to now instead of whenever the browser likes: files are as large as the weights. It is done
 * in a task of its own, for whatever a function that is under way may refer to is kept. */
export async function collectGarbage(): Promise<void> {
  await (globalThis as Collection).gc?.({ type: "major", execution: "async" });
}
