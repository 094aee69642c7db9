import { describe, expect, it } from 'vitest';
import type { LaneEvents } from '../../../../src/client/load/lane.ts';
import { FetchLane } from '../../../../src/client/load/stream-lanes.ts';

/** A lane that nobody listens to, and what it tells. */
function fetchLane(service: string): { readonly lane: FetchLane; readonly told: string[] } {
  const told: string[] = [];
  const events: LaneEvents = {
    ready: () => told.push('ready'),
    answered: () => told.push('answered'),
    moved: (sentBytes, receivedBytes) => told.push(`moved ${sentBytes} ${receivedBytes}`),
    failed: (kind) => told.push(kind),
  };
  const peer = { address: { address: '127.0.0.1', family: 'ipv4' }, port: 9 } as const;
  return { lane: new FetchLane(peer, service, events), told };
}

const reset: Error = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });

describe('a lane with a connection per request', () => {
  it('is ready before it connects', () => {
    const { lane, told } = fetchLane('daytime');
    lane.open();
    expect(told).toEqual(['ready']);
  });

  it('treats a reset after the answer as its end', () => {
    const { lane, told } = fetchLane('daytime');
    lane.data(Buffer.from('now'), 3);
    lane.failed(reset);
    expect(told).toEqual(['moved 0 3', 'answered']);
  });

  it('reports a reset before the answer', () => {
    const { lane, told } = fetchLane('daytime');
    lane.failed(reset);
    expect(told).toEqual(['connection reset']);
  });

  it('reports EMFILE as too many open files', () => {
    const { lane, told } = fetchLane('daytime');
    lane.failed(
      Object.assign(new Error('connect EMFILE 127.0.0.1:9 - Local (undefined:undefined)'), { code: 'EMFILE' }),
    );
    expect(told).toEqual(['too many open files']);
  });

  it('reports other errors in words, not by a message that contains ports', () => {
    const { lane, told } = fetchLane('daytime');
    lane.failed(Object.assign(new Error('connect EPROTO 127.0.0.1:9'), { code: 'EPROTO' }));
    expect(told).toEqual(['protocol error']);
  });

  it('combines the pieces of an answer', () => {
    const { lane, told } = fetchLane('time');
    lane.data(Buffer.alloc(8), 3);
    lane.data(Buffer.alloc(8), 1);
    lane.ended();
    expect(told).toEqual(['moved 0 3', 'moved 0 1', 'answered']);
  });
});
