/* The parts of the load generator that its kinds of work share. */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>

struct client {
  int fd;
  uint32_t number;
  int busy;             /* a request waits for its answer */
  int wants_write;      /* registered for EPOLLOUT */
  uint64_t counter;     /* of the current message */
  uint64_t started;     /* when it was sent, or the connection begun: nanoseconds */
  uint64_t resent;      /* when it was sent last, over UDP */
  uint64_t sent;        /* bytes of the message, or of the stream */
  uint64_t received;    /* the same */
};

/* One kind of work. Functions that a kind does not have are null. */
struct kind {
  const char *name;
  int is_datagram;
  int greets;           /* sends one request from each client before it is counted as connected */
  void (*begin)(struct client *);
  void (*readable)(struct client *, int has_ended);
  void (*writable)(struct client *);
  void (*overdue)(struct client *, uint64_t now);
};

extern const struct kind tcp_echo, udp_echo, bulk_echo, daytime, time_of_day, chargen;

/* How large a message is, or how much is written at once. */
extern size_t message_size;
/* Where everything is read into. */
extern uint8_t input[];
/* Whether a client that has its answer goes on. */
extern int is_running;

uint64_t now(void);
void fail(const char *what);

/* Opens the client's socket and connects it. */
void client_open(struct client *client);
/* Ends the client's connection after something went wrong, and connects it again. Gives up after too many errors. */
void client_failed(struct client *client, const char *what);
void client_close(struct client *client);
void client_want_write(struct client *client, int wanted);

/* Marks the beginning of an operation of this client. */
void operation_begin(struct client *client, uint64_t at);
/* Counts it and its bytes, and begins the client's next one if the load is running. */
void operation_end(struct client *client, uint64_t bytes, uint64_t at);
/* Counts bytes of a stream. */
void bytes_received(uint64_t bytes);
void datagram_lost(void);

#endif
