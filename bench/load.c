/*
 * A load generator on one core, faster than the servers it measures: epoll, no allocation, closed loop.
 *   load echo    PORT CONNECTIONS SECONDS SIZE    every connection sends SIZE bytes, waits for them, sends again
 *   load connect PORT CONNECTIONS SECONDS         connects, reads to the end of file, closes, connects again
 * Prints the operations done and the seconds they took. 127.0.0.1 only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { max_connections = 1024, max_size = 65536 };

static struct sockaddr_in server;
static int poller;
static char bytes[max_size];
static size_t pending[65536]; /* by descriptor: bytes of the echo still to come */

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int open_connection(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0) die("connect");
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
  return fd;
}

static void send_request(int fd, size_t size) {
  if (write(fd, bytes, size) != (ssize_t)size) die("write");
  pending[fd] = size;
}

int main(int argc, char **argv) {
  if (argc < 5) return fprintf(stderr, "usage: load echo|connect PORT CONNECTIONS SECONDS [SIZE]\n"), 64;
  int echo = strcmp(argv[1], "echo") == 0;
  int connections = atoi(argv[3]);
  double seconds = atof(argv[4]);
  size_t size = argc > 5 ? (size_t)atoi(argv[5]) : 64;
  if (connections < 1 || connections > max_connections || size < 1 || size > max_size) return 64;
  server.sin_family = AF_INET;
  server.sin_port = htons((unsigned short)atoi(argv[2]));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  memset(bytes, 'x', sizeof bytes);
  poller = epoll_create1(0);
  for (int i = 0; i < connections; i++) {
    int fd = open_connection();
    if (echo) send_request(fd, size);
  }
  static char input[max_size];
  unsigned long long done = 0;
  double start = now(), end = start + seconds;
  while (now() < end) {
    struct epoll_event events[256];
    int count = epoll_wait(poller, events, 256, 100);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      ssize_t got = read(fd, input, sizeof input);
      if (got < 0) die("read");
      if (echo) {
        if (got == 0) return fprintf(stderr, "the server closed an echo connection\n"), 1;
        pending[fd] -= (size_t)got;
        if (pending[fd] == 0) {
          done++;
          send_request(fd, size);
        }
      } else if (got == 0) {
        done++;
        close(fd);
        open_connection();
      }
    }
  }
  printf("%llu %f\n", done, now() - start);
  return 0;
}
