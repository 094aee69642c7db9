/** Pauses each client at its first data, until another client says `resume`. `ask` tells how much has arrived. */
export default {
  name: 'pauses',
  summary: 'stops reading',
  options: {},
  create() {
    const paused = new Set();
    let arrived = 0;
    return {
      stream(client) {
        let hasPaused = false;
        return {
          data(chunk) {
            const word = Buffer.from(chunk.subarray(0, 6)).toString();
            if (word === 'ask') client.write(Buffer.from(`${arrived}\n`));
            else if (word === 'resume') for (const each of paused) each.resume();
            else {
              arrived += chunk.length;
              if (!hasPaused) client.pause();
              hasPaused = true;
              paused.add(client);
            }
          },
          end: () => client.end(Buffer.from('end\n')),
        };
      },
    };
  },
};
