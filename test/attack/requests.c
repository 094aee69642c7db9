/*
 * Asks a service COUNT times, a few at a time, each as soon as one was answered, and looks at every answer: epoll, no allocation.
 *   requests SERVICE connections PORT COUNT         a TCP connection for each request
 *   requests SERVICE stay PORT COUNT                TCP connections that stay, a request after the other on each
 *   requests SERVICE datagrams PORT COUNT [PACE]    UDP; what is never answered is paced by the UDP echo service on port PACE
 * Prints how many were answered right, answered wrong and lost, and the seconds they took. From 127.0.1.0/24 to 127.0.0.1 only.
 * A connection is reset by chargen's client, as there is no other end to it; otherwise it ends in order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { at_once = 16, sources = 250, size = 64, enough = 512, room = 8192, patience_ms = 5000, most_losses = 100 };

/* One request under way. */
struct request {
  int fd;
  int pace; /* UDP: the socket whose answer starts the next request; its own unless the service never answers */
  size_t got;
  char sent[size];
  char answer[room];
};

static const char *service;
static enum { connections, stay, datagrams } manner;
static struct sockaddr_in server, pacer;
static int poller;
static struct request requests[at_once];
static unsigned long begun, count, answered, wrong, lost, under_way;
static unsigned source;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int is(const char *name) { return strcmp(service, name) == 0; }

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

/* From an address of its own, in turn: so ports that wait in TIME_WAIT do not run out. */
static int open_socket(int type, const struct sockaddr_in *to) {
  int fd = socket(AF_INET, type, 0), on = 1;
  if (fd < 0) die("socket");
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101 + source)};
  source = (source + 1) % sources;
  if (type == SOCK_STREAM) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind");
  if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0) die("connect");
  return fd;
}

static void watch(struct request *r, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = r};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void begin(struct request *r) {
  if (begun == count) return;
  begun++;
  under_way++;
  r->got = 0;
  memset(r->sent, 'a' + begun % 26, size);
  memcpy(r->sent, &begun, sizeof begun);
  if (manner == connections || r->fd < 0) {
    r->fd = r->pace = open_socket(manner == datagrams ? SOCK_DGRAM : SOCK_STREAM, &server);
    if (pacer.sin_port != 0) r->pace = open_socket(SOCK_DGRAM, &pacer);
    watch(r, r->pace);
  }
  if (manner == connections && !is("echo") && !is("discard")) return;
  if (send(r->fd, r->sent, size, 0) != size) die("send");
  if (manner == connections) shutdown(r->fd, SHUT_WR);
  if (r->pace != r->fd && send(r->pace, r->sent, size, 0) != size) die("send");
}

static int is_line(const struct request *r) {
  return r->got > 2 && r->got <= 512 && memcmp(r->answer + r->got - 2, "\r\n", 2) == 0;
}

/* Within two seconds of our own clock, which is the daemon's too. */
static int is_now(const struct request *r) {
  for (time_t t = time(NULL) - 2, last = t + 3; t <= last; t++) {
    if (is("time")) {
      uint32_t word = htonl((uint32_t)(t + 2208988800));
      if (r->got == 4 && memcmp(r->answer, &word, 4) == 0) return 1;
      continue;
    }
    struct tm utc;
    char day[64], rest[64], line[160];
    gmtime_r(&t, &utc);
    strftime(day, sizeof day, "%A, %B", &utc);
    strftime(rest, sizeof rest, "%Y %H:%M:%S-UTC", &utc);
    int length = snprintf(line, sizeof line, "%s %d, %s\r\n", day, utc.tm_mday, rest);
    if (r->got == (size_t)length && memcmp(r->answer, line, r->got) == 0) return 1;
  }
  return 0;
}

static int is_pattern(const struct request *r) {
  for (size_t i = 0; i < r->got; i++) {
    size_t line = i / 74, column = i % 74;
    char expected = column == 72 ? '\r' : column == 73 ? '\n' : (char)(' ' + (line + column) % 95);
    if (r->answer[i] != expected) return 0;
  }
  return 1;
}

static int is_right(const struct request *r) {
  if (is("echo") || r->pace != r->fd) return r->got == size && memcmp(r->answer, r->sent, size) == 0;
  if (is("discard")) return r->got == 0;
  if (is("chargen")) return is_pattern(r);
  if (is("qotd")) return is_line(r);
  if (is("systat")) return is_line(r) && strspn(r->answer, "0123456789") == r->got - strlen(" users\r\n");
  return is_now(r);
}

static void close_sockets(struct request *r) {
  if (r->pace != r->fd) close(r->pace);
  close(r->fd);
  r->fd = -1;
}

static void end(struct request *r, int right) {
  under_way--;
  if (right) answered++;
  else wrong++;
  if (manner == connections) close_sockets(r);
  begin(r);
}

static void lose(struct request *r) {
  under_way--;
  if (++lost > most_losses) return (void)(fprintf(stderr, "too many are lost\n"), exit(1));
  close_sockets(r);
  begin(r);
}

static void take(struct request *r) {
  ssize_t got = read(r->pace, r->answer + r->got, room - r->got);
  if (got < 0) return lose(r);
  r->got += (size_t)got;
  if (manner == datagrams) return end(r, is_right(r));
  if (manner == stay) {
    if (got == 0) return lose(r);
    if (r->got >= size) end(r, is_right(r));
    return;
  }
  if (got == 0 || (is("chargen") && r->got >= enough)) end(r, is_right(r) && (got > 0 || !is("chargen")));
}

int main(int argc, char **argv) {
  if (argc < 5) return fprintf(stderr, "usage: requests SERVICE connections|stay|datagrams PORT COUNT [PACE]\n"), 64;
  service = argv[1];
  manner = strcmp(argv[2], "stay") == 0 ? stay : strcmp(argv[2], "datagrams") == 0 ? datagrams : connections;
  server.sin_family = pacer.sin_family = AF_INET;
  server.sin_addr.s_addr = pacer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server.sin_port = htons((unsigned short)atoi(argv[3]));
  count = strtoul(argv[4], NULL, 10);
  if (argc > 5) pacer.sin_port = htons((unsigned short)atoi(argv[5]));
  poller = epoll_create1(0);
  double start = now();
  for (int i = 0; i < at_once; i++) {
    requests[i].fd = -1;
    begin(&requests[i]);
  }
  while (under_way > 0) {
    struct epoll_event events[at_once];
    int ready = epoll_wait(poller, events, at_once, patience_ms);
    for (int i = 0; i < ready; i++) take(events[i].data.ptr);
    /* Nothing for so long: none of those under way is going to be answered. */
    if (ready == 0)
      for (int i = 0, all = (int)under_way; i < at_once && all > 0; i++)
        if (requests[i].fd >= 0) all--, lose(&requests[i]);
  }
  printf("%lu %lu %lu %f\n", answered, wrong, lost, now() - start);
  return 0;
}
