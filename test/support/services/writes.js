/** What a careless author in JavaScript may hand to `write`, `end` or the daemon. */
const values = {
  number: 5,
  null: null,
  text: 'text',
  'a list': [1, 2],
  'a look-alike': { length: 5 },
  'other numbers': new Uint16Array([65, 66]),
  'a prototype': Object.create(Uint8Array.prototype),
};

/** Writes what is not bytes, and swallows the error if it is told so. */
export default {
  name: 'writes',
  summary: 'writes what is not bytes',
  options: {
    method: { doc: 'How.', format: 'string', default: 'write' },
    what: { doc: 'What.', format: 'string', default: 'number' },
    swallows: { doc: 'Whether it catches the error, and goes on.', format: 'boolean', default: false },
  },
  create: ({ method, what, swallows }) => ({
    stream: (client) => ({
      data() {
        try {
          client[method](values[what]);
        } catch (error) {
          if (!swallows) throw error;
          client.end(Buffer.from('sorry'));
        }
      },
    }),
    datagram: () => values[what],
  }),
};
