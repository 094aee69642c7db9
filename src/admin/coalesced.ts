/** Those who ask while an answer is being made share it: however many ask, one is being made at a time. */
export function coalesced<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let underWay: Promise<Value> | undefined;
  return async () => {
    underWay ??= make().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
