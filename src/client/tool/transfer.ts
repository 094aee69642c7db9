import type { Transfer } from '../transfer.ts';
import { formatTimeLeft } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** `16777216 bytes in 0.031 s, 541200516 bytes/s (516.13 MiB/s)`. */
export function formatTransfer({ bytes, elapsedMs, bytesPerSecond }: Transfer): string {
  const mebibytes = (bytesPerSecond / 2 ** 20).toFixed(2);
  return `${bytes} bytes in ${(elapsedMs / 1000).toFixed(3)} s, ${Math.round(bytesPerSecond)} bytes/s (${mebibytes} MiB/s)`;
}

/** Returns a callback that shows progress in one line, with a percentage and the time left if the total is known. */
export function showTransfer(terminal: Terminal, totalBytes: number | undefined): (transfer: Transfer) => void {
  return (transfer) => {
    const isKnown = totalBytes !== undefined && totalBytes > 0;
    const { bytes, elapsedMs } = transfer;
    const left = isKnown ? formatTimeLeft(elapsedMs, bytes, totalBytes) : '';
    const share = isKnown ? `${Math.floor((bytes / totalBytes) * 100)}%${left}, ` : '';
    terminal.showProgress(`${share}${formatTransfer(transfer)}`);
  };
}
