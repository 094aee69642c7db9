/**
 * Echoes, but misbehaves at the place that `where` names when it is sent `boom` (at `stream` and `create`: always): it
 * throws, or returns what `returned` names.
 */
export default {
  name: 'throws',
  summary: 'throws',
  options: {
    where: {
      doc: 'Where it throws.',
      format: ['create', 'stream', 'data', 'end', 'drained', 'closed', 'datagram', 'close'],
      default: 'data',
    },
    returned: {
      doc: 'What it returns there; error: it throws.',
      format: ['error', 'null', 'text', 'list', 'promise'],
      default: 'error',
    },
  },
  create({ where, returned }) {
    function misbehave(place) {
      if (returned === 'error') throw new Error(`thrown in ${place}`);
      if (returned === 'promise') return Promise.reject(new Error(`rejected in ${place}`));
      return { null: null, text: 'text', list: [1] }[returned];
    }

    if (where === 'create') misbehave('create');
    return {
      stream(client) {
        if (where === 'stream') return misbehave('stream');
        let armed = false;
        return {
          data(chunk) {
            armed ||= String(chunk) === 'boom';
            if (armed && where === 'data') return misbehave('data');
            client.write(Buffer.from(chunk));
            return undefined;
          },
          end() {
            if (armed && where === 'end') return misbehave('end');
            client.end();
            return undefined;
          },
          drained: () => (armed && where === 'drained' ? misbehave('drained') : undefined),
          closed: () => (armed && where === 'closed' ? misbehave('closed') : undefined),
        };
      },
      datagram: (request) =>
        where === 'datagram' && String(request) === 'boom' ? misbehave('datagram') : Buffer.from(request),
      close() {
        if (where === 'close') misbehave('close');
      },
    };
  },
};
