/* Preloaded, it makes a process believe that it is CLOCK_OFF seconds later: what a machine with a wrong clock sees.
   The monotonic clock, which times are measured by, goes on as ever. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long off(void) {
  const char *said = getenv("CLOCK_OFF");
  return said ? atol(said) : 0;
}

int clock_gettime(clockid_t which, struct timespec *at) {
  int failed = (int)syscall(SYS_clock_gettime, which, at);
  if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) at->tv_sec += off();
  return failed;
}

time_t time(time_t *kept) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  if (kept) *kept = at.tv_sec;
  return at.tv_sec;
}

int gettimeofday(struct timeval *at, void *zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}
