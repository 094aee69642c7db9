/** Neither answers nor ends, whatever the client does. */
export default {
  name: 'never-ends',
  summary: 'never answers',
  options: {},
  create: () => ({ stream: () => ({ data() {}, end() {} }) }),
};
