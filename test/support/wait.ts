/** Long enough for a loaded machine; a test that gets here has failed. */
const deadlineMs = 30_000;

/** What the promise gives; rejects, naming what was awaited, where that takes too long. */
export async function within<Value>(promise: Promise<Value>, what: string, waitMs = deadlineMs): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${waitMs} ms in vain: ${what}`)), waitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves as soon as the condition holds; rejects, naming it, where that takes too long. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}
