/** A cell of a table: its text, and whether that is good or bad news. */
export type Cell = string | { readonly text: string; readonly mark: 'good' | 'warn' | 'bad' };
