import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ConnectionOwners } from '../../../src/services/connection-owner.ts';
import { hasIpv6 } from '../../support/daemon.ts';

const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

/** A row as the kernel prints it on a little-endian machine. */
function row(local: string, peer: string, { state = '01', uid = 1000, inode = 4711 } = {}): string {
  return `   1: ${local} ${peer} ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 1 0000000066fe32c4 20 4 30 10 -1\n`;
}

/** 192.0.2.1:40000, as in the tables. */
const peer = '010200C0:9C40';
const ends = { localPort: 7, peerAddress: '192.0.2.1', peerPort: 40_000 };

function find(...tables: readonly string[]): number | undefined {
  return ConnectionOwners.parse(...tables.map((rows) => head + rows)).find(ends);
}

describe('the owner of a connection', () => {
  it('is the user in its row', () => {
    expect(find(row('0100007F:0008', peer, { uid: 1 }) + row('0100007F:0007', peer))).toBe(1000);
    expect(find(row('0100007F:0007', peer, { uid: 0 }))).toBe(0);
  });

  it.each([
    ['another local port', row('0100007F:0008', peer)],
    ['another peer port', row('0100007F:0007', '010200C0:9C41')],
    ['another peer', row('0100007F:0007', '020200C0:9C40')],
    ['a listener', row('0100007F:0007', '00000000:0000', { state: '0A' })],
    ['a connection in TIME-WAIT, which belongs to root', row('0100007F:0007', peer, { state: '06', uid: 0, inode: 0 })],
    ['a connection that no process has', row('0100007F:0007', peer, { inode: 0 })],
    ['the peer where the local address is', row(peer, '0100007F:0007')],
    ['nothing', ''],
    ['a row that was cut', row('0100007F:0007', peer).slice(0, 40)],
  ])('is unknown for %s', (_name, rows) => {
    expect(find(rows)).toBeUndefined();
  });

  it('is found in the IPv6 table for an IPv4 client of a dual-stack socket', () => {
    const mapped = `0000000000000000FFFF0000`;
    expect(find('', row(`${mapped}0100007F:0007`, `${mapped}${peer}`))).toBe(1000);
  });

  it('is unknown if connections to two local addresses have two owners', () => {
    const other = row('0200007F:0007', peer, { uid: 1001 });
    expect(find(row('0100007F:0007', peer) + other)).toBeUndefined();
    expect(find(row('0100007F:0007', peer, { uid: 1001 }) + other)).toBe(1001);
  });

  it('is found among more connections in TIME-WAIT than there is memory for', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'smallservd-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const waiting = row('0100007F:0007', '030200C0:9C40', { state: '06', uid: 0, inode: 0 });
    const held = `123456${row('0100007F:0007', peer).slice(4)}`;
    writeFileSync(join(directory, 'tcp'), `${head}${waiting.repeat(75_000)}${held}${waiting.repeat(75_000)}`);
    const mapped = '0000000000000000FFFF0000';
    writeFileSync(join(directory, 'tcp6'), head + row(`${mapped}0100007F:0008`, `${mapped}${peer}`, { uid: 5 }));
    const owners = await ConnectionOwners.read(directory);
    expect(owners.find(ends)).toBe(1000);
    expect(owners.find({ ...ends, localPort: 8 })).toBe(5);
    rmSync(join(directory, 'tcp6'));
    expect((await ConnectionOwners.read(directory)).find(ends)).toBe(1000);
  });

  it('is unknown for a client of a UNIX socket', () => {
    const owners = ConnectionOwners.parse(head + row('0100007F:0007', peer));
    expect(owners.find({ ...ends, peerAddress: '' })).toBeUndefined();
  });

  it.runIf(process.platform === 'linux').each(hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'])(
    'is found for a real connection from %s',
    async (host) => {
      const server: Server = createServer().listen(0, host);
      await once(server, 'listening');
      onTestFinished(() => void server.close());
      const { port } = server.address() as AddressInfo;
      const client = connect(port, host);
      onTestFinished(() => void client.destroy());
      await Promise.all([once(client, 'connect'), once(server, 'connection')]);
      const owners = await ConnectionOwners.read();
      const own = process.geteuid?.();
      const { localPort = 0 } = client;
      expect(owners.find({ localPort: port, peerAddress: host, peerPort: localPort })).toBe(own);
      expect(owners.find({ localPort, peerAddress: host, peerPort: port })).toBe(own);
      expect(owners.find({ localPort: port, peerAddress: '192.0.2.1', peerPort: localPort })).toBeUndefined();
    },
  );
});
