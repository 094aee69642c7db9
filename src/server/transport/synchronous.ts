/**
 * Returns a service function's result. A promise is a bug in the module, and its rejection would be unhandled, so this
 * throws a TypeError and ignores that rejection.
 */
export function synchronous<Returned>(returned: Returned): Returned {
  if (!(returned instanceof Promise)) return returned;
  returned.catch(() => {});
  throw new TypeError('a service must not be asynchronous here: it returned a promise');
}
