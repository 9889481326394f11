// The runtime's threads are workers that a lane makes. In Firefox making a worker in a worker hangs now and then, for
// ever; so there the page makes them, and passes on what lane and thread say to each other.

/** What a lane and its page tell each other of a thread: to make it, what is said to it or by it, or to end it. */
export interface ThreadMessage {
  thread: number;
  script?: string;
  name?: string;
  said?: unknown;
  ended?: boolean;
}

class ThreadByPage {
  private static readonly all: ThreadByPage[] = [];
  onmessage?: (event: { data: unknown }) => void;
  private readonly number: number;

  constructor(script: URL | string, { name }: WorkerOptions = {}) {
    this.number = ThreadByPage.all.push(this) - 1;
    this.tell({ script: String(script), name });
  }

  static hear({ thread, said }: ThreadMessage): void {
    ThreadByPage.all[thread]?.onmessage?.({ data: said });
  }

  postMessage(said: unknown): void {
    this.tell({ said });
  }

  terminate(): void {
    this.tell({ ended: true });
  }

  private tell(message: Omit<ThreadMessage, "thread">): void {
    globalThis.postMessage({ thread: this.number, ...message } satisfies ThreadMessage);
  }
}

/** From now on the page makes the workers of this lane, where that is necessary. */
export function letPageMakeThreads(): void {
  if (!navigator.userAgent.includes("Firefox")) {
    return;
  }
  globalThis.addEventListener("message", ({ data }: MessageEvent<object>) => {
    if ("thread" in data) {
      ThreadByPage.hear(data as ThreadMessage);
    }
  });
  Object.assign(globalThis, { Worker: ThreadByPage });
}

/** Threads that the page made for one lane. */
export class Threads {
  private readonly workers = new Map<number, Worker>();

  constructor(private readonly lane: Worker) {}

  hear({ thread, script, name, said, ended }: ThreadMessage): void {
    if (script !== undefined) {
      const worker = new Worker(script, { type: "module", name });
      worker.onmessage = ({ data }) => this.lane.postMessage({ thread, said: data } satisfies ThreadMessage);
      worker.onerror = ({ message }) => console.error(`a thread of a lane: ${message}`);
      this.workers.set(thread, worker);
    } else if (ended) {
      this.workers.get(thread)?.terminate();
      this.workers.delete(thread);
    } else {
      this.workers.get(thread)?.postMessage(said);
    }
  }

  end(): void {
    for (const worker of this.workers.values()) {
      worker.terminate();
    }
  }
}
