/** chown(2) takes the number after it, 2^32 - 1, for "leave it as it is". */
const highestId = 2 ** 32 - 2;

/** Whether a text can be a user or a group: a name such as www-data, or a number. */
export function isAccount(text: string): boolean {
  if (/^\d{1,10}$/.test(text)) return Number(text) <= highestId;
  return /^[A-Za-z_][\w.-]{0,31}$/.test(text);
}
