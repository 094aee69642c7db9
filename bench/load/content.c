#include "content.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Not a divisor of any buffer's size, so that bytes of another offset never look right. */
enum { stream_period = 65521, ring = 95, line = 72, chargen_period = ring * (line + 2) };

static uint8_t body[max_message];
static uint8_t stream[stream_period + max_message];
static uint8_t chargen[chargen_period + max_message];
static char year[8];

void content_start(void) {
  uint32_t state = 1;
  for (size_t index = 0; index < sizeof stream; index++) {
    state = state * 1664525u + 1013904223u;
    stream[index] = index < stream_period ? (uint8_t)(state >> 24) : stream[index - stream_period];
  }
  memcpy(body, stream, sizeof body);
  for (size_t index = 0; index < sizeof chargen; index++) {
    size_t row = index / (line + 2), column = index % (line + 2);
    chargen[index] = column == line ? '\r' : column > line ? '\n' : (uint8_t)(' ' + (row + column) % ring);
  }
  time_t now = time(NULL);
  struct tm parts;
  strftime(year, sizeof year, "%Y", gmtime_r(&now, &parts));
}

static void write_header(uint8_t *header, uint32_t client, uint64_t counter) {
  memcpy(header, &counter, sizeof counter);
  memcpy(header + sizeof counter, &client, sizeof client);
}

void content_fill(uint8_t *message, size_t size, uint32_t client, uint64_t counter) {
  uint8_t header[header_size];
  write_header(header, client, counter);
  memcpy(message, header, size < header_size ? size : header_size);
  if (size > header_size) memcpy(message + header_size, body, size - header_size);
}

uint64_t content_counter(const uint8_t *message, size_t size, uint32_t client) {
  uint32_t number;
  uint64_t counter;
  if (size < header_size) return UINT64_MAX;
  memcpy(&counter, message, sizeof counter);
  memcpy(&number, message + sizeof counter, sizeof number);
  return number == client ? counter : UINT64_MAX;
}

int content_is_message(const uint8_t *bytes, size_t length, size_t offset, uint32_t client, uint64_t counter) {
  uint8_t header[header_size];
  if (offset < header_size) {
    size_t part = header_size - offset < length ? header_size - offset : length;
    write_header(header, client, counter);
    if (memcmp(bytes, header + offset, part) != 0) return 0;
    bytes += part;
    length -= part;
    offset = header_size;
  }
  return memcmp(bytes, body + (offset - header_size), length) == 0;
}

const uint8_t *content_stream(uint64_t offset) {
  return stream + offset % stream_period;
}

int content_is_chargen(const uint8_t *bytes, size_t length, uint64_t offset) {
  return memcmp(bytes, chargen + offset % chargen_period, length) == 0;
}

int content_is_daytime(const uint8_t *bytes, size_t length) {
  while (length > 0 && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r')) length--;
  for (size_t index = 0; index < length; index++)
    if (bytes[index] < ' ' || bytes[index] > '~') return 0;
  return length > 0 && memmem(bytes, length, year, strlen(year)) != NULL;
}

int content_is_time(const uint8_t *bytes, size_t length) {
  if (length != 4) return 0;
  uint32_t told = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
  int32_t difference = (int32_t)(told - (uint32_t)(time(NULL) + 2208988800u));
  return difference >= -2 && difference <= 2;
}
