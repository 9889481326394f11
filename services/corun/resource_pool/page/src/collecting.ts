// Asking for garbage collection, where the browser lets us.

/** Frees what nobody refers to now instead of whenever the browser likes: files are as large as the weights. */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
