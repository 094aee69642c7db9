/**
 * Passes on what a service's function returned. A promise is a mistake of its module, and would fail where nobody
 * catches it: throws a TypeError, and the promise's own failure is of no more interest.
 */
export function synchronous<Returned>(returned: Returned): Returned {
  if (!(returned instanceof Promise)) return returned;
  returned.catch(() => {});
  throw new TypeError('a service must not be asynchronous here: it returned a promise');
}
