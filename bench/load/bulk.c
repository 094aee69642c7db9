/* Every client writes an endless stream and reads it back, with at most a mebibyte under way. */
#include "content.h"
#include "load.h"

#include <errno.h>
#include <sys/socket.h>

static const uint64_t window = 1 << 20;

static void send_more(struct client *client) {
  int is_full = 0;
  while (is_running && !is_full && client->sent - client->received + message_size <= window) {
    ssize_t taken = send(client->fd, content_stream(client->sent), message_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0 && errno != EAGAIN) return client_failed(client, "send");
    is_full = taken < (ssize_t)message_size;
    if (taken > 0) client->sent += (uint64_t)taken;
  }
  client_want_write(client, is_full);
}

static void begin(struct client *client) {
  operation_begin(client, now());
  send_more(client);
}

static void readable(struct client *client, int has_ended) {
  (void)has_ended;
  ssize_t got = recv(client->fd, input, max_message, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) return client_failed(client, "recv");
  if (got == 0) return client_failed(client, "the server closed an echo connection");
  size_t length = (size_t)got;
  if (client->received + length > client->sent) return client_failed(client, "more came back than was sent");
  if (__builtin_memcmp(input, content_stream(client->received), length) != 0)
    return client_failed(client, "the echo differs");
  client->received += length;
  bytes_received(length);
  if (!is_running && client->received == client->sent) operation_end(client, 0, now());
  else send_more(client);
}

const struct kind bulk_echo = {.name = "bulk-echo", .begin = begin, .readable = readable, .writable = send_more};
