// Firefox looks whether its GPU is done every 100 ms, and whenever something is submitted. So while somebody waits for
// the GPU there, the runtime included, empty submissions make it look more often.

const PAUSE_MS = 1;

/** Lets waits for this device end soon after the device is done. */
export function waitPromptly({ queue }: GPUDevice): void {
  if (!navigator.userAgent.includes("Firefox")) {
    return;
  }
  let waiting = 0;
  const look = (): void => {
    if (waiting > 0) {
      queue.submit([]);
      setTimeout(look, PAUSE_MS);
    }
  };
  const watched = async (answer: Promise<undefined>): Promise<undefined> => {
    waiting += 1;
    if (waiting === 1) {
      setTimeout(look, PAUSE_MS);
    }
    try {
      return await answer;
    } finally {
      waiting -= 1;
    }
  };
  const { mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.mapAsync = function (this: GPUBuffer, ...parameters): Promise<undefined> {
    return watched(mapAsync.apply(this, parameters));
  };
  const { onSubmittedWorkDone } = GPUQueue.prototype;
  GPUQueue.prototype.onSubmittedWorkDone = function (this: GPUQueue): Promise<undefined> {
    return watched(onSubmittedWorkDone.apply(this));
  };
}
