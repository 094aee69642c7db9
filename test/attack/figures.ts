/** The figures of the attacks: kept for the report where there is one, and held against their bounds. */
import { appendFileSync } from 'node:fs';
import { expect } from 'vitest';
import { isNode } from './sockets.ts';

/** Where the figures of a run are gathered, a line of JSON each; without it no report is written. */
export const figuresVariable = 'SMALLSERVD_TEST_FIGURES';

/** The daemon with the sockets of the kernel, and with those of Node, and others. */
export type ServerName = 'smallservd' | 'sockets: node' | 'xinetd' | 'inetutils-inetd';

/** The one of ours that is being attacked. */
export const ours: ServerName = isNode ? 'sockets: node' : 'smallservd';

/** What one attack measured, for the report. */
export interface Figure {
  /** The number of the attack, 1 to 17. */
  readonly attack: number;
  /** What was counted, and of what: `echo, 1,000 sources: bytes out / bytes in`. */
  readonly what: string;
  readonly server: ServerName;
  readonly measured: string;
  /** As text; only ours has one. */
  readonly bound?: string;
  readonly holds?: boolean;
}

export interface Bound {
  readonly atMost?: number;
  readonly atLeast?: number;
  /** Stands behind the numbers: ` s`, ` bytes`, `%`. */
  readonly unit?: string;
  /** Digits after the point; 0 unless given. */
  readonly digits?: number;
  /** A bound on wall-clock time: held in the attack run alone, which has the machine for itself. */
  readonly isTime?: boolean;
}

/**
 * Writes a figure of ours down. Where its bound is broken the test goes on, for its other figures, and fails in the
 * end.
 */
export function holds(attack: number, what: string, value: number, bound: Bound): void {
  const { atMost = Infinity, atLeast = -Infinity, isTime = false } = bound;
  const isKept = value >= atLeast && value <= atMost;
  const inReport = process.env[figuresVariable] !== undefined;
  write({ attack, what, server: ours, measured: show(value, bound), bound: showBound(bound), holds: isKept });
  if (isTime && !inReport) return;
  expect
    .soft(isKept, `attack ${attack}, ${what}: ${show(value, bound)}, and the bound is ${showBound(bound)}`)
    .toBe(true);
}

/**
 * Writes a figure down that has no bound: what another server did under the same attack, or what stands behind one of
 * ours.
 */
export function compare(server: ServerName, attack: number, what: string, value: number, bound: Bound = {}): void {
  write({ attack, what, server, measured: show(value, bound) });
}

/** Writes a figure of ours down whose bound does not hold with the sockets of Node, and why. */
export function holdsExceptWithNode(attack: number, what: string, value: number, bound: Bound, reason: string): void {
  if (isNode) write({ attack, what, server: ours, measured: `${show(value, bound)} (no bound: ${reason})` });
  else holds(attack, what, value, bound);
}

/** The same, where it is no number: `ended`, say. */
export function remark(server: ServerName, attack: number, what: string, measured: string): void {
  write({ attack, what, server, measured });
}

function write(figure: Figure): void {
  const file = process.env[figuresVariable];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(figure)}\n`);
}

function show(value: number, { unit = '', digits = 0 }: Bound): string {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${value.toLocaleString('en', options)}${unit}`;
}

function showBound(bound: Bound): string {
  const { atMost, atLeast } = bound;
  if (atMost !== undefined && atMost === atLeast) return show(atMost, bound);
  const parts = [
    ...(atLeast === undefined ? [] : [`at least ${show(atLeast, bound)}`]),
    ...(atMost === undefined ? [] : [`at most ${show(atMost, bound)}`]),
  ];
  return parts.join(', ');
}
