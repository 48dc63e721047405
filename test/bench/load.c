/*
 * Loads for measuring replication, at a steady rate: load KIND PLACE RATE SECONDS SEED [FILES]
 *
 *   mixed  DIRECTORY  bytes/s   a server's writes on the tree of corpus.ts (FILES small files): places of databases, appends to logs that are
 *                               rotated, small files rewritten in place and by rename, larger ones made and removed
 *   random FILE       writes/s  4 KiB blocks at random places
 *   names  DIRECTORY  ops/s     a third of them creates, then renames into another directory, then removals of nine in ten
 *   touch  DIRECTORY  ops/s     a small write, a new mode or a new name for any of FILES small files
 *
 * A rate of 0 is as fast as it goes. Ends after SECONDS (0: only makes the large files of "mixed") and prints one JSON object: what it did,
 * and how far it fell behind its rate.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define NOISE (1 << 20)
#define DATABASES 8
#define DATABASE_BYTES (64 << 20)
#define LOGS 20
#define LOG_BYTES (16 << 20)
#define BULK_KEPT 32
#define NAME_DIRECTORIES 100

static const char *place;
static uint64_t state, operations, bytes, distinct;
static uint8_t noise[2 * NOISE];

static void die(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* xorshift64* */
static uint64_t any(uint64_t below) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (state * 2685821657736338717ull >> 11) % below;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put(int fd, size_t length, off_t at) {
  /* a place of its own in each piece: the same bytes twice would be no change */
  uint8_t piece[64 * 1024];
  for (size_t done = 0; done < length;) {
    size_t part = length - done < sizeof piece ? length - done : sizeof piece;
    memcpy(piece, noise + any(NOISE), part);
    memcpy(piece, &operations, sizeof operations < part ? sizeof operations : part);
    ssize_t wrote = at < 0 ? write(fd, piece, part) : pwrite(fd, piece, part, at + (off_t)done);
    if (wrote != (ssize_t)part) die("write");
    done += part;
  }
  bytes += length;
}

static int must_open(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC, 0644);
  if (fd < 0) die(path);
  return fd;
}

/* the path that corpus.ts gave the small file */
static void small_path(char *path, uint64_t number) {
  uint64_t directory = number / 20;
  sprintf(path, "%s/d%llu/e%llu/f%llu/file-%llu.c", place, (unsigned long long)(directory % 10), (unsigned long long)(directory / 10 % 40), (unsigned long long)directory, (unsigned long long)number);
}

static void mixed_prepare(void) {
  char path[4096];
  for (int i = 0; i < DATABASES; i++) {
    struct stat about;
    sprintf(path, "%s/database-%d", place, i);
    if (stat(path, &about) == 0 && about.st_size == DATABASE_BYTES) continue;
    int fd = must_open(path, O_WRONLY | O_CREAT);
    for (off_t at = 0; at < DATABASE_BYTES; at += NOISE) put(fd, NOISE, at);
    close(fd);
  }
  bytes = 0;
}

static void mixed(uint64_t files) {
  static uint64_t log_bytes[LOGS], bulk;
  char path[4096], other[4100];
  uint64_t share = any(1000);
  operations++;
  if (share < 170) {
    sprintf(path, "%s/database-%d", place, (int)any(DATABASES));
    int fd = must_open(path, O_WRONLY);
    size_t length = BLOCK * (1 + any(16));
    put(fd, length, (off_t)(any((DATABASE_BYTES - length) / BLOCK) * BLOCK));
    close(fd);
  } else if (share < 667) {
    int log = (int)any(LOGS);
    sprintf(path, "%s/log-%d", place, log);
    if (log_bytes[log] > LOG_BYTES) {
      sprintf(other, "%s.1", path);
      if (rename(path, other) != 0) die(other);
      log_bytes[log] = 0;
    }
    int fd = must_open(path, O_WRONLY | O_CREAT | O_APPEND);
    size_t length = 200 + any(16 * 1024);
    put(fd, length, -1);
    log_bytes[log] += length;
    close(fd);
  } else if (share < 997) {
    small_path(path, any(files));
    sprintf(other, "%s.new", path);
    int by_rename = (int)any(2);
    int fd = must_open(by_rename ? other : path, O_WRONLY | O_CREAT | O_TRUNC);
    put(fd, 1024 + any(15 * 1024), 0);
    close(fd);
    if (by_rename && rename(other, path) != 0) die(other);
  } else {
    sprintf(path, "%s/bulk-%llu", place, (unsigned long long)bulk);
    int fd = must_open(path, O_WRONLY | O_CREAT | O_TRUNC);
    put(fd, 64 * 1024 * (1 + any(16)), 0);
    close(fd);
    if (bulk >= BULK_KEPT) {
      sprintf(path, "%s/bulk-%llu", place, (unsigned long long)(bulk - BULK_KEPT));
      if (unlink(path) != 0) die(path);
    }
    bulk++;
  }
}

static void random_blocks(void) {
  static int fd = -1;
  static uint64_t blocks;
  static uint8_t *seen;
  if (fd < 0) {
    struct stat about;
    fd = must_open(place, O_WRONLY);
    if (fstat(fd, &about) != 0 || about.st_size < BLOCK) die(place);
    blocks = (uint64_t)about.st_size / BLOCK;
    seen = calloc(blocks / 8 + 1, 1);
    if (seen == NULL) die("calloc");
  }
  uint64_t block = any(blocks);
  if ((seen[block / 8] >> block % 8 & 1) == 0) distinct += BLOCK;
  seen[block / 8] |= (uint8_t)(1 << block % 8);
  operations++;
  put(fd, BLOCK, (off_t)(block * BLOCK));
}

static void names_prepare(void) {
  char path[4096];
  for (int i = 0; i < NAME_DIRECTORIES; i++) {
    sprintf(path, "%s/names-%d", place, i);
    if (mkdir(path, 0755) != 0 && errno != EEXIST) die(path);
  }
}

static void names(void) {
  /* a name lives for so many steps before the next thing happens to it */
  enum { LIFE = 500 };
  char path[4096], other[4096];
  uint64_t step = operations / 3, at;
  switch (operations % 3) {
  case 0:
    sprintf(path, "%s/names-%d/new-%llu", place, (int)(step % NAME_DIRECTORIES), (unsigned long long)step);
    close(must_open(path, O_WRONLY | O_CREAT | O_EXCL));
    break;
  case 1:
    if (step < LIFE) break;
    at = step - LIFE;
    sprintf(path, "%s/names-%d/new-%llu", place, (int)(at % NAME_DIRECTORIES), (unsigned long long)at);
    sprintf(other, "%s/names-%d/old-%llu", place, (int)((at * 7 + 1) % NAME_DIRECTORIES), (unsigned long long)at);
    if (rename(path, other) != 0) die(path);
    break;
  default:
    if (step < 2 * LIFE || (step - 2 * LIFE) % 10 == 0) break;
    at = step - 2 * LIFE;
    sprintf(path, "%s/names-%d/old-%llu", place, (int)((at * 7 + 1) % NAME_DIRECTORIES), (unsigned long long)at);
    if (unlink(path) != 0) die(path);
  }
  operations++;
}

static void touch(uint64_t files) {
  char path[4096], other[4100];
  small_path(path, any(files));
  sprintf(other, "%s~", path);
  operations++;
  switch (any(4)) {
  case 0:
    if (chmod(path, any(2) ? 0644 : 0600) != 0) die(path);
    break;
  case 1:
    if (rename(path, other) != 0 || rename(other, path) != 0) die(path);
    break;
  default: {
    int fd = must_open(path, O_WRONLY);
    put(fd, 1 + any(500), 0);
    close(fd);
  }
  }
}

int main(int count, char **args) {
  if (count < 6) {
    fprintf(stderr, "load KIND PLACE RATE SECONDS SEED [FILES]\n");
    return 2;
  }
  const char *kind = args[1];
  place = args[2];
  double rate = atof(args[3]), seconds = atof(args[4]), behind = 0;
  state = strtoull(args[5], NULL, 10) * 2654435761u + 88172645463325252ull;
  uint64_t files = count > 6 ? strtoull(args[6], NULL, 10) : 1;
  for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)any(256);
  int by_bytes = strcmp(kind, "mixed") == 0, is_random = strcmp(kind, "random") == 0, is_names = strcmp(kind, "names") == 0, is_touch = strcmp(kind, "touch") == 0;
  if (!by_bytes && !is_random && !is_names && !is_touch) {
    fprintf(stderr, "load: there is no load %s\n", kind);
    return 2;
  }
  if (by_bytes) mixed_prepare();
  if (is_names) names_prepare();
  double start = now();
  for (;;) {
    double at = now() - start;
    if (at >= seconds) break;
    if (rate > 0) {
      double due = (double)(by_bytes ? bytes : operations) / rate;
      if (due > at) {
        struct timespec pause = { (time_t)(due - at), (long)((due - at - (double)(time_t)(due - at)) * 1e9) };
        nanosleep(&pause, NULL);
      } else if (at - due > behind) behind = at - due;
    }
    if (by_bytes) mixed(files);
    else if (is_random) random_blocks();
    else if (is_names) names();
    else touch(files);
  }
  printf("{\"operations\": %llu, \"bytes\": %llu, \"distinctBytes\": %llu, \"seconds\": %.3f, \"behindMs\": %.0f}\n", (unsigned long long)operations, (unsigned long long)bytes, (unsigned long long)distinct, now() - start, behind * 1000);
  return 0;
}
