/*
 * The services as a plain epoll loop in C: one process, no threads, level-triggered, and no tricks.
 *   epoll KIND=PORT...    with the kinds tcp-echo, udp-echo, daytime, time and chargen; on 127.0.0.1
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { buffer_size = 65536, max_events = 64, datagrams_a_turn = 64, period = 95 * 74 };

enum kind { tcp_echo, udp_echo, daytime, time_of_day, chargen };
static const char *names[] = {"tcp-echo", "udp-echo", "daytime", "time", "chargen"};

/* A listening socket, or a client. */
struct endpoint {
  int fd;
  int listens;
  enum kind kind;
  size_t offset;  /* chargen: where in the pattern; echo: where in `waiting` */
  size_t length;  /* echo: bytes in `waiting` that are still to be sent */
  char *waiting;  /* echo: what the kernel has not taken; null as long as it takes all */
};

static int poller;
static char buffer[buffer_size];
static char pattern[period + buffer_size];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void watch(struct endpoint *endpoint, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = endpoint};
  if (epoll_ctl(poller, operation, endpoint->fd, &event) < 0) fail("epoll_ctl");
}

static void drop(struct endpoint *client) {
  close(client->fd);
  free(client->waiting);
  free(client);
}

static void keep(struct endpoint *client, const char *rest, size_t length) {
  client->waiting = malloc(length);
  if (!client->waiting) return drop(client);
  memcpy(client->waiting, rest, length);
  client->offset = 0;
  client->length = length;
  watch(client, EPOLL_CTL_MOD, EPOLLOUT);
}

static void echo(struct endpoint *client) {
  ssize_t got = recv(client->fd, buffer, buffer_size, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return drop(client);
  ssize_t sent = send(client->fd, buffer, (size_t)got, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return drop(client);
  if (sent < 0) sent = 0;
  if (sent < got) keep(client, buffer + sent, (size_t)(got - sent));
}

static void echo_rest(struct endpoint *client) {
  ssize_t sent = send(client->fd, client->waiting + client->offset, client->length, MSG_NOSIGNAL);
  if (sent < 0 && errno == EAGAIN) return;
  if (sent < 0) return drop(client);
  client->offset += (size_t)sent;
  client->length -= (size_t)sent;
  if (client->length > 0) return;
  free(client->waiting);
  client->waiting = NULL;
  watch(client, EPOLL_CTL_MOD, EPOLLIN);
}

static void send_characters(struct endpoint *client) {
  ssize_t sent = send(client->fd, pattern + client->offset, buffer_size, MSG_NOSIGNAL);
  if (sent < 0 && errno == EAGAIN) return;
  if (sent < 0) return drop(client);
  client->offset = (client->offset + (size_t)sent) % period;
}

static void answer_datagrams(int fd) {
  for (int count = 0; count < datagrams_a_turn; count++) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t got = recvfrom(fd, buffer, buffer_size, 0, (struct sockaddr *)&peer, &length);
    if (got < 0) return;
    sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&peer, length);
  }
}

/* Answers at once, and closes. */
static void answer(int fd, enum kind kind) {
  char text[64];
  size_t length;
  time_t now = time(NULL);
  if (kind == daytime) {
    struct tm parts;
    length = strftime(text, sizeof text, "%A, %B %e, %Y %H:%M:%S-%Z\r\n", localtime_r(&now, &parts));
  } else {
    uint32_t seconds = htonl((uint32_t)(now + 2208988800u));
    length = sizeof seconds;
    memcpy(text, &seconds, length);
  }
  send(fd, text, length, MSG_NOSIGNAL);
  close(fd);
}

static void accept_clients(struct endpoint *listener) {
  for (int count = 0; count < max_events; count++) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (listener->kind == daytime || listener->kind == time_of_day) {
      answer(fd, listener->kind);
      continue;
    }
    struct endpoint *client = calloc(1, sizeof *client);
    if (!client) fail("calloc");
    client->fd = fd;
    client->kind = listener->kind;
    watch(client, EPOLL_CTL_ADD, client->kind == chargen ? EPOLLOUT : EPOLLIN);
  }
}

static void listen_on(enum kind kind, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int type = kind == udp_echo ? SOCK_DGRAM : SOCK_STREAM, on = 1;
  struct endpoint *listener = calloc(1, sizeof *listener);
  if (!listener) fail("calloc");
  listener->kind = kind;
  listener->listens = 1;
  listener->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener->fd < 0) fail("socket");
  setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  /* Clients inherit it. */
  if (type == SOCK_STREAM) setsockopt(listener->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(listener->fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (type == SOCK_STREAM && listen(listener->fd, 511) < 0) fail("listen");
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
}

static void handle(struct endpoint *endpoint) {
  if (endpoint->kind == udp_echo) answer_datagrams(endpoint->fd);
  else if (endpoint->listens) accept_clients(endpoint);
  else if (endpoint->kind == chargen) send_characters(endpoint);
  else if (endpoint->waiting) echo_rest(endpoint);
  else echo(endpoint);
}

int main(int argc, char **argv) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail("setrlimit");
  for (size_t index = 0; index < sizeof pattern; index++) {
    size_t row = index / 74, column = index % 74;
    pattern[index] = column == 72 ? '\r' : column == 73 ? '\n' : (char)(' ' + (row + column) % 95);
  }
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1");
  for (int index = 1; index < argc; index++) {
    const char *port = strchr(argv[index], '=');
    for (int kind = tcp_echo; port && kind <= chargen; kind++)
      if (strncmp(argv[index], names[kind], (size_t)(port - argv[index])) == 0)
        listen_on((enum kind)kind, atoi(port + 1));
  }
  for (;;) {
    struct epoll_event events[max_events];
    int count = epoll_wait(poller, events, max_events, -1);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int index = 0; index < count; index++) handle(events[index].data.ptr);
  }
}
