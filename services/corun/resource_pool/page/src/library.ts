// Model files that lanes are loading: each is fetched once and lent to all of them, and forgotten when the last one
// has given it back.

import { collectGarbage } from "./collecting";

interface Book {
  file: Promise<SharedArrayBuffer>;
  readers: Set<Worker>;
}

export class Library {
  private readonly books = new Map<string, Book>();

  /** Fetches the file unless somebody has it, and sends it to the lane. */
  async lend(url: string, reader: Worker): Promise<void> {
    let book = this.books.get(url);
    if (!book) {
      book = { file: fetchShared(url), readers: new Set() };
      this.books.set(url, book);
    }
    book.readers.add(reader);
    try {
      reader.postMessage({ url, file: await book.file });
    } catch (error) {
      reader.postMessage({ url, error: error instanceof Error ? error.message : String(error) });
      this.takeBack(url, reader);
    }
  }

  takeBack(url: string, reader: Worker): void {
    const book = this.books.get(url);
    book?.readers.delete(reader);
    if (book?.readers.size === 0) {
      this.books.delete(url);
      void collectGarbage();
    }
  }

  /** A lane was ended; what it had not given back is given back now. */
  forget(reader: Worker): void {
    for (const url of [...this.books.keys()]) {
      this.takeBack(url, reader);
    }
  }
}

/** Fetches into shared memory piece by piece, so that there is never a second copy. */
async function fetchShared(url: string): Promise<SharedArrayBuffer> {
  const response = await fetch(url);
  const length = Number(response.headers.get("Content-Length"));
  if (!response.ok || !response.body || !length) {
    throw new Error(`the model file could not be fetched: HTTP ${response.status}`);
  }
  const file = new SharedArrayBuffer(length);
  const bytes = new Uint8Array(file);
  let offset = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    bytes.set(value, offset);
    offset += value.length;
  }
  if (offset !== length) {
    throw new Error(`the model file ended after ${offset} of ${length} bytes`);
  }
  return file;
}
