/*
 * Faults on demand: a preload library in which system calls fail as long as a file says so.
 *
 * Contract with crates/testkit/src/faults.rs: FAULTS names a folder; while it holds a file of a fault's name, the fault
 * is there. What is done by raw system calls isn't reached.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The number in a fault's file; -1 where there is no such file. */
static long measure_of(const char *fault) {
    const char *folder = getenv("FAULTS");
    char path[PATH_MAX], text[32] = "";
    if (!folder || snprintf(path, sizeof path, "%s/%s", folder, fault) >= (int)sizeof path) return -1;
    int kept = errno;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        syscall(SYS_read, file, text, sizeof text - 1);
        syscall(SYS_close, file);
    }
    errno = kept;
    return file < 0 ? -1 : atol(text);
}

static int is_on(const char *fault) { return measure_of(fault) >= 0; }

static int sync_as_told(long call, int fd) {
    while (is_on("sync-hangs")) usleep(2000);
    if (is_on("sync-fails")) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fsync(int fd) { return sync_as_told(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_as_told(SYS_fdatasync, fd); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    long back_s = !failed && clock == CLOCK_REALTIME ? measure_of("clock-back") : -1;
    if (back_s > 0) now->tv_sec -= back_s;
    return failed;
}
