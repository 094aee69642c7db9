/** chown(2) interprets the next number, 2^32 - 1, as "leave unchanged". */
const highestId = 2 ** 32 - 2;

/** Whether the text can name a user or group: a name such as www-data, or a number. */
export function isAccount(text: string): boolean {
  if (/^\d{1,10}$/.test(text)) return Number(text) <= highestId;
  return /^[A-Za-z_][\w.-]{0,31}$/.test(text);
}
