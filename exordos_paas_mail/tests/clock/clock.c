/* SPDX-FileCopyrightText: 2026 The mailaas authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The time of day, ahead by as many seconds as a file says; see clock.py.
 *
 * Clocks that nobody sets (CLOCK_MONOTONIC, CLOCK_BOOTTIME) are as they are, and so is
 * what the kernel itself does by the time of day: the stamps of files.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long *seconds;

__attribute__((constructor)) static void
begin(void)
{
  int file = open(CLOCK_FILE, O_RDONLY | O_CLOEXEC);

  if (file < 0)
    return;
  void *shared = mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);

  close(file);
  if (shared != MAP_FAILED)
    seconds = shared;
}

int
clock_gettime(clockid_t clock, struct timespec *at)
{
  int status = (int)syscall(SYS_clock_gettime, clock, at);

  if (status == 0 && seconds && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    at->tv_sec += *seconds;
  return status;
}

int
gettimeofday(struct timeval *restrict at, void *restrict zone)
{
  struct timespec now;

  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t
time(time_t *at)
{
  struct timespec now;

  clock_gettime(CLOCK_REALTIME, &now);
  if (at)
    *at = now.tv_sec;
  return now.tv_sec;
}
