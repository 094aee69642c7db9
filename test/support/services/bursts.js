/** Writes 32 MiB to each client, not when it hears from him but a moment later, and ends with what it then hears. */
export default {
  name: 'bursts',
  summary: 'writes much, outside of any handler',
  options: {},
  create: () => ({
    stream(client) {
      setTimeout(() => client.write(Buffer.alloc(32 * 1024 * 1024, 'burst ')), 10);
      return { data: (chunk) => client.end(Buffer.from(chunk)) };
    },
  }),
};
