/* A histogram of times. Its buckets grow with the value, 64 for each power of two: a percentile is exact to 1.6 %. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

void histogram_clear(void);
void histogram_record(uint64_t nanoseconds);

/* Returns the middle of the bucket that holds this share (0 to 1) of the values, in nanoseconds; 0 without values. */
uint64_t histogram_quantile(double share);

#endif
