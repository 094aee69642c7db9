/** Answers a DNS query with itself, marked as a response (QR, RFC 1035 section 4.1.1). */
export default {
  name: 'dns-mirror',
  summary: 'answers DNS queries with themselves',
  options: {},
  create: () => ({
    datagram(request) {
      const response = Uint8Array.from(request);
      response[2] |= 0x80;
      return response;
    },
  }),
};
