/* What is sent and what has to come back. */
#ifndef CONTENT_H
#define CONTENT_H

#include <stddef.h>
#include <stdint.h>

enum { max_message = 65536, header_size = 12 };

void content_start(void);

/* Fills the header of the next message to be sent: the client's number and a counter, as far as size allows. */
void content_fill(uint8_t *message, size_t size, uint32_t client, uint64_t counter);

/* Returns the counter in a datagram's header, UINT64_MAX if the datagram is not one of this client. */
uint64_t content_counter(const uint8_t *message, size_t size, uint32_t client);

/* Whether these bytes are those of this message at this offset. */
int content_is_message(const uint8_t *bytes, size_t length, size_t offset, uint32_t client, uint64_t counter);

/* Returns bytes of an endless stream at this offset, at least max_message of them. */
const uint8_t *content_stream(uint64_t offset);

/* Whether these bytes are those of the rotating pattern of RFC 864 at this offset. */
int content_is_chargen(const uint8_t *bytes, size_t length, uint64_t offset);

/* Whether this is a printable text that tells this year, with or without a line end. */
int content_is_daytime(const uint8_t *bytes, size_t length);

/* Whether these are the seconds since 1900, within two of the clock. */
int content_is_time(const uint8_t *bytes, size_t length);

#endif
