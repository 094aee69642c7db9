import type { ServiceModule } from '../service.ts';

const firstCharacter = 0x20;
const ringLength = 95;
const lineLength = 72;
const maxDatagram = 512;

const pattern = createPattern();
/** Nine periods. Complete periods join seamlessly, and a larger block saves turns of the event loop. */
const block = Buffer.alloc(9 * pattern.length, pattern);

/** RFC 864: a pattern of the printable characters, endless over TCP, 0 to 512 bytes over UDP. */
export const chargen: ServiceModule = {
  name: 'chargen',
  summary: 'sends an endless pattern of printable characters',
  rfc: 864,
  port: 19,
  udpHazard: 'it sends up to 512 bytes to any forged source address',
  maxAmplification: 1,
  options: {},
  create: (_options, context) => ({
    stream(client) {
      client.write(block);
      return {
        drained: () => client.write(block),
        end() {},
      };
    },
    datagram(_request, limit) {
      if (limit < 0) return undefined;
      const length = Math.floor(context.random() * (Math.min(maxDatagram, limit) + 1));
      return pattern.subarray(0, length);
    },
  }),
};

/** The 95 lines after which the pattern repeats, 7,030 bytes. */
function createPattern(): Buffer {
  const ring = String.fromCharCode(...Array.from({ length: ringLength }, (_, index) => firstCharacter + index));
  const lines = Array.from(ring, (_, start) => `${(ring + ring).slice(start, start + lineLength)}\r\n`);
  return Buffer.from(lines.join(''), 'latin1');
}
