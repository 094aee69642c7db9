/** Writes 32 MiB at once to whoever connects, more whenever it may, and answers a datagram with a thousand. */
const block = Buffer.alloc(1024 * 1024, 'flood ');

export default {
  name: 'floods',
  summary: 'sends much more than it is asked for',
  options: {},
  create: () => ({
    stream(client) {
      function flood() {
        for (let count = 0; count < 32; count += 1) client.write(block);
      }
      flood();
      return { drained: flood };
    },
    datagram: (request) =>
      String(request) === 'one' ? block : Array.from({ length: 1000 }, () => block.subarray(0, 500)),
  }),
};
