/*
 * A load generator on one core, faster than the servers it measures: epoll, no allocation after the start, closed loop.
 *   load KIND PORT CLIENTS SIZE WARM_SECONDS
 * It connects to 127.0.0.1, warms up and prints "ready". For each line with a number of seconds on standard input it
 * then puts load on the server for that long, waits for the answers that are under way and prints one line of JSON. It
 * ends with standard input. Clients stay connected meanwhile. It checks every byte that comes back.
 */
#include "load.h"

#include "content.h"
#include "histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { max_clients = 100000, max_events = 256, most_errors = 1000, connected_at_once = 100 };

static const uint64_t second = 1000000000;
/* Without an answer for this long the server has failed. */
static const uint64_t patience = 10;
/* How long after the end of the load a datagram may still be answered. */
static const uint64_t datagram_patience = 2;
/* How often it looks for datagrams to be sent again. */
static const uint64_t look_every = 20000000;

size_t message_size;
uint8_t input[max_message];
int is_running;

static const struct kind *kinds[] = {&tcp_echo, &udp_echo, &bulk_echo, &daytime, &time_of_day, &chargen};
static const struct kind *kind;
static struct sockaddr_in server = {.sin_family = AF_INET};
static struct client *clients;
static int poller;
static size_t busy;
static uint64_t operations, bytes, errors, lost, last_answer;
static const char *last_error = "";

uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * second + (uint64_t)time.tv_nsec;
}

void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

void operation_begin(struct client *client, uint64_t at) {
  if (!client->busy) busy++;
  client->busy = 1;
  client->started = at;
}

void operation_end(struct client *client, uint64_t count, uint64_t at) {
  if (!client->busy) return;
  histogram_record(at - client->started);
  operations++;
  bytes += count;
  last_answer = at;
  busy--;
  client->busy = 0;
  if (is_running) kind->begin(client);
}

void bytes_received(uint64_t count) {
  bytes += count;
}

void datagram_lost(void) {
  lost++;
}

void client_want_write(struct client *client, int wanted) {
  if (client->wants_write == wanted || client->fd < 0) return;
  client->wants_write = wanted;
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (wanted ? EPOLLOUT : 0), .data.ptr = client};
  if (epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &event) < 0) fail("epoll_ctl");
}

void client_open(struct client *client) {
  client->wants_write = 0;
  client->fd = socket(AF_INET, (kind->is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
  if (client->fd < 0) fail("socket");
  if (connect(client->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) {
    errors++;
    last_error = strerror(errno);
    if (errors > most_errors) fail("connect");
  }
  int on = 1;
  if (kind->greets && !kind->is_datagram) setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = client};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event) < 0) fail("epoll_ctl");
}

void client_close(struct client *client) {
  close(client->fd);
  client->fd = -1;
}

void client_failed(struct client *client, const char *what) {
  last_error = what;
  if (++errors > most_errors) fail(what);
  if (client->busy) busy--;
  client->busy = 0;
  client_close(client);
  client->sent = client->received = 0;
  if (!is_running) return;
  if (kind->greets || kind == &bulk_echo) client_open(client);
  kind->begin(client);
}

/* Counts the datagrams that are still without an answer. */
static void give_up(void) {
  for (struct client *client = clients; client->number != UINT32_MAX; client++) {
    lost += (uint64_t)client->busy;
    client->busy = 0;
  }
  busy = 0;
}

/* Lets events come until no client is busy; until `end`, clients that have their answer go on. */
static void handle_events(uint64_t end) {
  struct epoll_event events[max_events];
  uint64_t progress = now(), done = operations + bytes, next_look = progress + look_every;
  while (busy > 0) {
    int count = epoll_wait(poller, events, max_events, 20);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int index = 0; index < count; index++) {
      struct client *client = events[index].data.ptr;
      int has_ended = (events[index].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
      if (events[index].events & EPOLLOUT && kind->writable) kind->writable(client);
      if (events[index].events & ~(uint32_t)EPOLLOUT) kind->readable(client, has_ended);
    }
    uint64_t at = now();
    if (at >= end) is_running = 0;
    if (kind->overdue && at >= next_look) {
      next_look = at + look_every;
      for (struct client *client = clients; client->number != UINT32_MAX; client++) kind->overdue(client, at);
    }
    if (kind->is_datagram && end > 0 && at > end + datagram_patience * second) give_up();
    if (operations + bytes != done) progress = at, done = operations + bytes;
    if (at - progress > patience * second) {
      errno = ETIMEDOUT;
      fail("no answer any more");
    }
  }
}

/* Puts load on the server for this long. Returns the seconds until the last answer. */
static double run(double seconds) {
  operations = bytes = lost = errors = 0;
  histogram_clear();
  uint64_t start = now(), end = start + (uint64_t)(seconds * (double)second);
  is_running = 1;
  for (struct client *client = clients; client->number != UINT32_MAX; client++) kind->begin(client);
  handle_events(end);
  return (double)(last_answer - start) / (double)second;
}

/* So many at a time that no backlog overflows. */
static void connect_all(size_t count) {
  for (size_t index = 0; index < count; index++) {
    struct client *client = &clients[index];
    client->number = (uint32_t)index;
    client->fd = -1;
    if (kind->greets || kind == &bulk_echo) client_open(client);
    if (kind->greets) kind->begin(client);
    if (kind->greets && (index % connected_at_once == connected_at_once - 1 || index == count - 1)) {
      clients[index + 1].number = UINT32_MAX;
      handle_events(0);
    }
  }
  clients[count].number = UINT32_MAX;
}

static void report(double seconds) {
  printf("{\"operations\":%llu,\"bytes\":%llu,\"seconds\":%.6f,\"errors\":%llu,\"lost\":%llu,\"lastError\":\"%s\"",
         (unsigned long long)operations, (unsigned long long)bytes, seconds, (unsigned long long)errors,
         (unsigned long long)lost, errors > 0 ? last_error : "");
  static const struct { const char *name; double share; } quantiles[] = {
      {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
  for (size_t index = 0; index < sizeof quantiles / sizeof *quantiles; index++)
    printf(",\"%sUs\":%.3f", quantiles[index].name, (double)histogram_quantile(quantiles[index].share) / 1000);
  printf("}\n");
  fflush(stdout);
}

static void raise_open_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail("setrlimit");
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: load KIND PORT CLIENTS SIZE WARM_SECONDS\n"), 64;
  for (size_t index = 0; index < sizeof kinds / sizeof *kinds; index++)
    if (strcmp(argv[1], kinds[index]->name) == 0) kind = kinds[index];
  int port = atoi(argv[2]), count = atoi(argv[3]), size = atoi(argv[4]);
  double warm_seconds = atof(argv[5]);
  if (!kind || port < 1 || port > 65535 || count < 1 || count > max_clients || size < 1 || size > max_message)
    return fprintf(stderr, "load: a wrong argument\n"), 64;
  message_size = (size_t)size;
  server.sin_port = htons((uint16_t)port);
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  raise_open_files();
  content_start();
  clients = calloc((size_t)count + 1, sizeof *clients);
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (!clients || poller < 0) fail("start");
  connect_all((size_t)count);
  if (errors == 0 && warm_seconds > 0) run(warm_seconds);
  if (errors > 0) return fprintf(stderr, "load: while warming up: %s\n", last_error), 1;
  puts("ready");
  fflush(stdout);
  for (char text[64]; fgets(text, sizeof text, stdin);) {
    double seconds = run(atof(text));
    /* Lets a chargen server fill the sockets again, as they were at the start, before its CPU time is read. */
    if (kind == &chargen) usleep(5000);
    report(seconds);
  }
  return 0;
}
