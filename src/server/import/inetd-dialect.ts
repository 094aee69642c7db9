/** Whose inetd reads the file. They do not agree on what `tcp`, `tcp6` and an indented line mean. */
export const inetdDialects = ['gnu', 'freebsd', 'openbsd'] as const;

export type InetdDialect = (typeof inetdDialects)[number];
