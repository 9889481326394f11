// Requests that cannot be met.

/** The runtime was not touched, so the lane is as good as before. */
export class Refused extends Error {}

/** What went wrong, for the pool. */
export function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
