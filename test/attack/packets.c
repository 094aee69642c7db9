/*
 * Sends UDP over IPv4 with whatever source address and port, and counts what goes over an interface. Needs root.
 *
 *   packets send TO PORT [OPTIONS]         sends, then prints {"sent":N,"seconds":S}
 *     --from ADDRESS          the first source address (127.0.0.1)
 *     --sources N             so many different ones, in turn (1)
 *     --step N                from one source address to the next (1; 256: each in a /24 of its own)
 *     --source-port P[-Q]     the source port, or a range of them in turn: the next one with each packet (40000)
 *     --length N              bytes of payload, all `x` (0)
 *     --hex BYTES             the payload in hexadecimal, instead
 *     --checksum N            the UDP checksum, which is wrong unless by chance (0: none)
 *     --count N               packets (1)
 *     --rate N                packets a second (0: as fast as they go)
 *     --seconds N             ends by then, whatever is left (10)
 *     --through INTERFACE,MAC hands frames for that hardware address to the interface: for the source 0.0.0.0, which the kernel
 *                             replaces otherwise. Without it packets take the routes of the network they are sent in.
 *   A packet larger than the MTU of its interface is not sent: it ends the program.
 *
 *   packets count INTERFACE PORT... [--seconds N]
 *   Prints `ready`, counts until SIGTERM or for so many seconds (10), then prints a line of JSON:
 *     {"lost":N,"ports":{"PORT":{"to":COUNT,"from":COUNT}}}
 *   with COUNT {"packets":N,"bytes":N,"largest":N}. `to` went to that UDP port of anybody, `from` came from it; what goes from one
 *   counted port to another counts for both.
 *   Bytes are those on the wire: max(64, length of the IP packet + 18) + 20, an Ethernet frame with preamble and gap (RFC 2544).
 *   `lost` packets went by without being counted: such a measurement is void. Fragments but the first have no port, and are not counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { batch = 64, headers = 28, max_payload = 65507, ports = 65536 };

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void usage(const char *fault) {
  fprintf(stderr, "packets: %s; its source says how it is used\n", fault);
  exit(64);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void pause_for(double seconds) {
  struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&t, NULL);
}

static unsigned long number(const char *text, unsigned long most) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || *text == '-' || value > most) usage("a number is wrong");
  return value;
}

static uint32_t address(const char *text) {
  struct in_addr parsed;
  if (inet_pton(AF_INET, text, &parsed) != 1) usage("an address is wrong");
  return ntohl(parsed.s_addr);
}

/* What is sent: all packets differ only in their source. */
static struct {
  uint32_t to, from;
  unsigned port, first_port, last_port, checksum;
  unsigned long sources, step, count, rate, seconds;
  uint8_t payload[max_payload];
  size_t length;
  struct sockaddr_ll frame;
} job = {.from = 0x7f000001, .first_port = 40000, .last_port = 40000, .sources = 1, .step = 1, .count = 1, .seconds = 10};

static void read_hex(const char *text) {
  for (job.length = 0; *text != '\0'; text += 2, job.length++) {
    if (job.length == max_payload || sscanf(text, "%2hhx", &job.payload[job.length]) != 1 || text[1] == '\0')
      usage("the payload is wrong");
  }
}

static void read_frame(char *text) {
  char *mac = strchr(text, ',');
  uint8_t *at = job.frame.sll_addr;
  if (mac == NULL) usage("--through takes an interface and a hardware address");
  *mac++ = '\0';
  if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", at, at + 1, at + 2, at + 3, at + 4, at + 5) != 6)
    usage("a hardware address is wrong");
  job.frame.sll_family = AF_PACKET;
  job.frame.sll_protocol = htons(ETH_P_IP);
  job.frame.sll_halen = 6;
  job.frame.sll_ifindex = (int)if_nametoindex(text);
  if (job.frame.sll_ifindex == 0) die(text);
}

static void read_ports(char *text) {
  char *last = strchr(text, '-');
  if (last != NULL) *last++ = '\0';
  job.first_port = (unsigned)number(text, ports - 1);
  job.last_port = last == NULL ? job.first_port : (unsigned)number(last, ports - 1);
  if (job.last_port < job.first_port) usage("a range of ports is wrong");
}

static uint16_t checksum(const void *bytes, size_t length) {
  const uint16_t *words = bytes;
  uint32_t sum = 0;
  for (size_t i = 0; i < length / 2; i++) sum += words[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

struct header {
  struct iphdr ip;
  struct udphdr udp;
};

static struct header header_of(unsigned long index) {
  struct header header = {
      .ip = {
          .version = 4,
          .ihl = 5,
          .ttl = 64,
          .protocol = IPPROTO_UDP,
          .id = htons((uint16_t)(index + 1)),
          .tot_len = htons((uint16_t)(headers + job.length)),
          .saddr = htonl(job.from + (uint32_t)(index % job.sources * job.step)),
          .daddr = htonl(job.to),
      },
      /* RFC 768: a checksum of zero is none. */
      .udp = {
          .source = htons((uint16_t)(job.first_port + index % (job.last_port - job.first_port + 1))),
          .dest = htons((uint16_t)job.port),
          .len = htons((uint16_t)(sizeof(struct udphdr) + job.length)),
          .check = htons((uint16_t)job.checksum),
      },
  };
  header.ip.check = checksum(&header.ip, sizeof header.ip);
  return header;
}

static void send_all(void) {
  int framed = job.frame.sll_ifindex != 0;
  int fd = framed ? socket(AF_PACKET, SOCK_DGRAM, 0) : socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) die("socket");
  int room = 16 * 1024 * 1024;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0) die("SO_SNDBUFFORCE");
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(job.to)};
  static struct header each[batch];
  static struct iovec parts[batch][2];
  static struct mmsghdr messages[batch];
  for (int i = 0; i < batch; i++) {
    parts[i][0] = (struct iovec){.iov_base = &each[i], .iov_len = sizeof each[i]};
    parts[i][1] = (struct iovec){.iov_base = job.payload, .iov_len = job.length};
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = framed ? (void *)&job.frame : (void *)&to,
        .msg_namelen = framed ? sizeof job.frame : sizeof to,
        .msg_iov = parts[i],
        .msg_iovlen = 2,
    };
  }
  double start = now(), end = start + (double)job.seconds;
  unsigned long sent = 0;
  for (double at = start; sent < job.count && at < end; at = now()) {
    unsigned long due = job.rate == 0 ? job.count : (unsigned long)((at - start) * (double)job.rate) + 1;
    if (due > job.count) due = job.count;
    if (due <= sent) {
      pause_for((double)(sent + 1) / (double)job.rate - (at - start));
      continue;
    }
    unsigned many = due - sent < batch ? (unsigned)(due - sent) : batch;
    for (unsigned i = 0; i < many; i++) each[i] = header_of(sent + i);
    int done = sendmmsg(fd, messages, many, 0);
    if (done > 0) sent += (unsigned long)done;
    else if (errno == ENOBUFS) pause_for(0.0005);
    else die("sendmmsg");
  }
  printf("{\"sent\":%lu,\"seconds\":%.6f}\n", sent, now() - start);
}

struct count {
  unsigned long packets, bytes, largest;
};

struct pair {
  struct count to, from;
};

static struct pair by_port[ports];
static char is_counted[ports];
static volatile sig_atomic_t told_to_end;

static void end_soon(int signal) {
  (void)signal;
  told_to_end = 1;
}

static void add(struct count *count, unsigned long bytes) {
  count->packets++;
  count->bytes += bytes;
  if (bytes > count->largest) count->largest = bytes;
}

static void look_at(const uint8_t *packet, size_t captured) {
  struct iphdr ip;
  struct udphdr udp;
  if (captured < sizeof ip) return;
  memcpy(&ip, packet, sizeof ip);
  size_t header = ip.ihl * 4u;
  if (ip.version != 4 || ip.protocol != IPPROTO_UDP || captured < header + sizeof udp) return;
  if ((ntohs(ip.frag_off) & IP_OFFMASK) != 0) return;
  memcpy(&udp, packet + header, sizeof udp);
  unsigned to = ntohs(udp.dest), from = ntohs(udp.source);
  if (!is_counted[to] && !is_counted[from]) return;
  unsigned long frame = ntohs(ip.tot_len) + 18ul, wire = (frame < 64 ? 64 : frame) + 20;
  if (is_counted[to]) add(&by_port[to].to, wire);
  if (is_counted[from]) add(&by_port[from].from, wire);
}

static void print_pair(struct pair pair) {
  printf("{\"to\":{\"packets\":%lu,\"bytes\":%lu,\"largest\":%lu},\"from\":{\"packets\":%lu,\"bytes\":%lu,\"largest\":%lu}}",
         pair.to.packets, pair.to.bytes, pair.to.largest, pair.from.packets, pair.from.bytes, pair.from.largest);
}

static void count_all(const char *interface, double seconds) {
  int fd = socket(AF_PACKET, SOCK_DGRAM, 0), room = 256 * 1024 * 1024;
  if (fd < 0) die("socket");
  int index = (int)if_nametoindex(interface), is_loopback = strcmp(interface, "lo") == 0;
  if (index == 0) die(interface);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0) die("SO_RCVBUFFORCE");
  struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
  if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0) die("bind");
  struct timeval patience = {.tv_usec = 10000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  signal(SIGTERM, end_soon);
  puts("ready");
  fflush(stdout);

  static uint8_t packets[batch][128];
  static struct sockaddr_ll senders[batch];
  static struct iovec parts[batch];
  static struct mmsghdr messages[batch];
  double end = now() + seconds;
  for (;;) {
    int is_over = told_to_end || now() >= end;
    for (int i = 0; i < batch; i++) {
      parts[i] = (struct iovec){.iov_base = packets[i], .iov_len = sizeof packets[i]};
      messages[i].msg_hdr = (struct msghdr){
          .msg_name = &senders[i],
          .msg_namelen = sizeof senders[i],
          .msg_iov = &parts[i],
          .msg_iovlen = 1,
      };
    }
    int got = recvmmsg(fd, messages, batch, is_over ? MSG_DONTWAIT : MSG_WAITFORONE, NULL);
    if (got < 0 && errno != EAGAIN && errno != EINTR) die("recvmmsg");
    for (int i = 0; i < got; i++) {
      /* Loopback shows each packet twice: as it leaves, and as it comes. */
      if (is_loopback && senders[i].sll_pkttype == PACKET_OUTGOING) continue;
      if (senders[i].sll_protocol == htons(ETH_P_IP)) look_at(packets[i], messages[i].msg_len);
    }
    /* What had come when the end did is counted; what comes later may never end. */
    if (is_over && (got < batch || now() > end + 5)) break;
  }

  struct tpacket_stats stats;
  socklen_t size = sizeof stats;
  if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0) die("PACKET_STATISTICS");
  printf("{\"lost\":%u,\"ports\":{", stats.tp_drops);
  const char *comma = "";
  for (int port = 0; port < ports; port++) {
    if (!is_counted[port]) continue;
    printf("%s\"%d\":", comma, port);
    print_pair(by_port[port]);
    comma = ",";
  }
  puts("}}");
}

static const struct option options[] = {
    {"from", required_argument, NULL, 'f'},     {"sources", required_argument, NULL, 'n'},
    {"step", required_argument, NULL, 's'},     {"source-port", required_argument, NULL, 'p'},
    {"length", required_argument, NULL, 'l'},   {"hex", required_argument, NULL, 'x'},
    {"count", required_argument, NULL, 'c'},    {"rate", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 't'},  {"through", required_argument, NULL, 'i'},
    {"checksum", required_argument, NULL, 'k'},
    {0},
};

int main(int argc, char **argv) {
  memset(job.payload, 'x', sizeof job.payload);
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (option) {
      case 'f': job.from = address(optarg); break;
      case 'n': job.sources = number(optarg, 1ul << 32); break;
      case 's': job.step = number(optarg, 1ul << 32); break;
      case 'p': read_ports(optarg); break;
      case 'l': job.length = number(optarg, max_payload); break;
      case 'x': read_hex(optarg); break;
      case 'c': job.count = number(optarg, 1ul << 32); break;
      case 'r': job.rate = number(optarg, 10000000); break;
      case 't': job.seconds = number(optarg, 3600); break;
      case 'i': read_frame(optarg); break;
      case 'k': job.checksum = (unsigned)number(optarg, 65535); break;
      default: usage("an option is wrong");
    }
  }
  char **words = argv + optind;
  int many = argc - optind;
  if (many == 3 && strcmp(words[0], "send") == 0) {
    job.to = address(words[1]);
    job.port = (unsigned)number(words[2], ports - 1);
    if (job.sources == 0) usage("there must be a source");
    send_all();
  } else if (many >= 3 && strcmp(words[0], "count") == 0) {
    for (int i = 2; i < many; i++) is_counted[number(words[i], ports - 1)] = 1;
    count_all(words[1], (double)job.seconds);
  } else {
    usage("send or count");
  }
  return 0;
}
