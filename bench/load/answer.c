/* Clients that send nothing: they connect, read the answer to its end and connect again, or read without end. */
#include "content.h"
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { longest_answer = 256 };

static void begin(struct client *client) {
  operation_begin(client, now());
  client->received = 0;
  client_open(client);
}

static void read_answer(struct client *client, int has_ended, int (*is_right)(const uint8_t *, size_t)) {
  ssize_t got = recv(client->fd, input, longest_answer, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) return client_failed(client, "recv");
  if (got > 0) {
    /* All of these servers send their answer at once. */
    if (client->received > 0 || !is_right(input, (size_t)got)) return client_failed(client, "the answer is wrong");
    client->received = (uint64_t)got;
    /* The FIN came with it: the next read would only say so. */
    if (!has_ended || got == longest_answer) return;
  }
  if (client->received == 0) return client_failed(client, "no answer before the end");
  client_close(client);
  operation_end(client, client->received, now());
}

static void daytime_readable(struct client *client, int has_ended) {
  read_answer(client, has_ended, content_is_daytime);
}

static void time_readable(struct client *client, int has_ended) {
  read_answer(client, has_ended, content_is_time);
}

static void chargen_begin(struct client *client) {
  operation_begin(client, now());
  if (client->fd < 0) client_open(client);
}

static void chargen_readable(struct client *client, int has_ended) {
  (void)has_ended;
  /* The rest stays in the socket. */
  if (!is_running) return operation_end(client, 0, now());
  ssize_t got = recv(client->fd, input, max_message, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) return client_failed(client, "recv");
  if (got == 0) return client_failed(client, "the server closed a chargen connection");
  if (!content_is_chargen(input, (size_t)got, client->received)) return client_failed(client, "the pattern differs");
  client->received += (uint64_t)got;
  bytes_received((uint64_t)got);
}

const struct kind daytime = {.name = "daytime", .begin = begin, .readable = daytime_readable};
const struct kind time_of_day = {.name = "time", .begin = begin, .readable = time_readable};
const struct kind chargen = {.name = "chargen", .begin = chargen_begin, .readable = chargen_readable};
