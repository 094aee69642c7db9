#include "histogram.h"

#include <string.h>

enum { bits = 6, per_octave = 1 << bits, buckets = (64 - bits + 1) * per_octave };

static uint64_t counts[buckets];
static uint64_t total;

void histogram_clear(void) {
  memset(counts, 0, sizeof counts);
  total = 0;
}

void histogram_record(uint64_t nanoseconds) {
  unsigned octave = 0;
  if (nanoseconds >= per_octave) octave = (unsigned)(63 - bits - __builtin_clzll(nanoseconds));
  /* Below 128 the buckets are of one nanosecond; octave 0 holds them all. */
  counts[octave * per_octave + (nanoseconds >> octave)]++;
  total++;
}

uint64_t histogram_quantile(double share) {
  uint64_t wanted = (uint64_t)(share * (double)total + 0.5), seen = 0;
  if (total == 0) return 0;
  if (wanted < 1) wanted = 1;
  for (unsigned index = 0; index < buckets; index++) {
    seen += counts[index];
    if (seen < wanted) continue;
    if (index < 2 * per_octave) return index;
    unsigned octave = index / per_octave - 1;
    uint64_t start = (uint64_t)(index - octave * per_octave) << octave;
    return start + ((1ull << octave) >> 1);
  }
  return 0;
}
