/* Every client sends a message, waits for the same message, and sends the next: over TCP and over UDP. */
#include "content.h"
#include "load.h"

#include <errno.h>
#include <sys/socket.h>

static const uint64_t resend_after = 500000000; /* nanoseconds */

static uint8_t message[max_message];

static void send_rest(struct client *client) {
  content_fill(message, message_size, client->number, client->counter);
  while (client->sent < message_size) {
    ssize_t taken = send(client->fd, message + client->sent, message_size - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0 && errno == EAGAIN) break;
    if (taken < 0) return client_failed(client, "send");
    client->sent += (uint64_t)taken;
  }
  client_want_write(client, client->sent < message_size);
}

static void tcp_begin(struct client *client) {
  operation_begin(client, now());
  client->counter++;
  client->sent = client->received = 0;
  send_rest(client);
}

static void tcp_readable(struct client *client, int has_ended) {
  (void)has_ended;
  ssize_t got = recv(client->fd, input, max_message, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) return client_failed(client, "recv");
  if (got == 0) return client_failed(client, "the server closed an echo connection");
  size_t length = (size_t)got;
  if (client->received + length > client->sent) return client_failed(client, "more came back than was sent");
  if (!content_is_message(input, length, client->received, client->number, client->counter))
    return client_failed(client, "the echo differs");
  client->received += length;
  if (client->received == message_size) operation_end(client, message_size, now());
}

static void udp_send(struct client *client, uint64_t at) {
  client->resent = at;
  content_fill(message, message_size, client->number, client->counter);
  /* What the kernel refuses counts as lost, as soon as the answer is overdue. */
  while (send(client->fd, message, message_size, MSG_DONTWAIT) < 0 && errno == EINTR) continue;
}

static void udp_begin(struct client *client) {
  uint64_t at = now();
  operation_begin(client, at);
  client->counter++;
  udp_send(client, at);
}

static void udp_readable(struct client *client, int has_ended) {
  (void)has_ended;
  ssize_t got = recv(client->fd, input, max_message, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED)) return;
  if (got < 0) return client_failed(client, "recv");
  size_t length = (size_t)got;
  uint64_t counter = content_counter(input, length, client->number);
  /* A late answer to a datagram that was sent again. */
  if (counter < client->counter) return;
  if (length != message_size || !content_is_message(input, length, 0, client->number, client->counter))
    return client_failed(client, "the echo differs");
  if (client->busy) operation_end(client, message_size, now());
}

static void udp_overdue(struct client *client, uint64_t at) {
  if (!client->busy || at - client->resent < resend_after) return;
  datagram_lost();
  udp_send(client, at);
}

const struct kind tcp_echo = {
    .name = "tcp-echo", .greets = 1, .begin = tcp_begin, .readable = tcp_readable, .writable = send_rest};
const struct kind udp_echo = {
    .name = "udp-echo", .is_datagram = 1, .greets = 1, .begin = udp_begin, .readable = udp_readable,
    .overdue = udp_overdue};
