/*
 * The power-cut recorder: a preload library that logs, in one global order, every change a process makes below one
 * folder, the begin and the end of every sync, and the marks the process makes.
 *
 * Contract with crates/testkit/src/powercut/log.rs: POWERCUT_LOG gets a sequence of records, each a `struct header`
 * followed by the bytes of `path`, of `other` and of the data. Paths are absolute; numbers are little-endian.
 *
 * - One lock is held over each change and its record, so the order of the log is the order in which changes happened,
 *   and what the folder holds is at every moment what the log says.
 * - A sync doesn't reach the kernel: it only lasts a while (POWERCUT_SYNC_US), so that others get in between.
 * - Changes that cannot be followed (shared writable mappings, O_TMPFILE, ...) are recorded as UNSUPPORTED, and the
 *   reader refuses the recording. Changes made by raw system calls aren't seen: the reader finds them by comparing.
 * - Opening <root>/.powercut/TEXT makes the mark TEXT and answers ENOENT; programs need no C interface for it.
 * - With POWERCUT_MARKS, a socket of that path takes marks from other processes: lines, each answered by a dot and a
 *   newline once it is recorded.
 * - Files outside the folder but on its filesystem are recorded too; the reader drops inodes it doesn't know.
 *
 * It is compiled as one text of three files: this one with the log, the marks and what is followed; content.c with what
 * changes the content of files; names.c with what changes folders, and the syncs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum kind {
    STARTED = 1,
    CREATE,
    MKDIR,
    RESIZE,
    WRITE,
    SYNC_BEGIN,
    SYNC_END,
    RENAME,
    UNLINK,
    RMDIR,
    LINK,
    MARK,
    UNSUPPORTED,
};

enum { SYNC_ALL = 0, SYNC_DATA = 1 };
enum { EXIT_STOPPED = 77, EXIT_LOG_BROKEN = 99 };

struct __attribute__((packed)) header {
    uint32_t kind, detail;
    uint64_t sequence, inode, offset, data_len;
    uint32_t path_len, other_len;
};

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_len;
static dev_t root_device;
static uint64_t sequence, stop_after, last_sync;
static unsigned sync_us = 150;

#define MARKS "/.powercut/"

/* ---- the log ---- */

static void put(const void *bytes, size_t len) {
    const char *at = bytes;
    while (len > 0) {
        ssize_t done = syscall(SYS_write, log_fd, at, len);
        if (done <= 0) _exit(EXIT_LOG_BROKEN);
        at += done;
        len -= (size_t)done;
    }
}

/* Appends a record; `order` is held. `data_len` bytes of data are gathered from `parts`. */
static void record(struct header h, const char *path, const char *other, const struct iovec *parts) {
    if (log_fd < 0) return;
    h.sequence = ++sequence;
    h.path_len = path ? (uint32_t)strlen(path) : 0;
    h.other_len = other ? (uint32_t)strlen(other) : 0;
    put(&h, sizeof h);
    put(path, h.path_len);
    put(other, h.other_len);
    for (size_t left = h.data_len; left > 0; parts++) {
        size_t part = parts->iov_len < left ? parts->iov_len : left;
        put(parts->iov_base, part);
        left -= part;
    }
    if (stop_after && sequence >= stop_after) _exit(EXIT_STOPPED);
}

static void record_unsupported(const char *call, ino_t inode) {
    record((struct header){.kind = UNSUPPORTED, .inode = inode}, call, NULL, NULL);
}

static void lock(void) { pthread_mutex_lock(&order); }

static void unlock(void) {
    int kept = errno;
    pthread_mutex_unlock(&order);
    errno = kept;
}

/* ---- marks from other processes ---- */

/* One connection: a line at a time. */
static void *take_marks(void *connection) {
    int fd = (int)(intptr_t)connection;
    char line[128];
    size_t len = 0;
    while (len < sizeof line && syscall(SYS_read, fd, line + len, 1) == 1) {
        if (line[len++] != '\n') continue;
        line[len - 1] = 0;
        lock();
        record((struct header){.kind = MARK}, line, NULL, NULL);
        unlock();
        if (syscall(SYS_write, fd, ".\n", 2) != 2) break;
        len = 0;
    }
    syscall(SYS_close, fd);
    return NULL;
}

static void *accept_marks(void *listener) {
    for (;;) {
        int fd = accept4((int)(intptr_t)listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        if (fd >= 0 && !pthread_create(&thread, NULL, take_marks, (void *)(intptr_t)fd)) pthread_detach(thread);
    }
}

static void listen_for_marks(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) _exit(EXIT_LOG_BROKEN);
    strcpy(address.sun_path, path);
    syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64)) _exit(EXIT_LOG_BROKEN);
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all); /* Signals are the program's own business; threads inherit the mask. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!pthread_create(&thread, NULL, accept_marks, (void *)(intptr_t)fd)) pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

__attribute__((constructor)) static void start(void) {
    const char *log = getenv("POWERCUT_LOG"), *folder = getenv("POWERCUT_ROOT");
    const char *stop = getenv("POWERCUT_STOP_AFTER"), *pause = getenv("POWERCUT_SYNC_US");
    struct stat st;
    if (!log || !folder || strlen(folder) >= sizeof root || stat(folder, &st)) return;
    strcpy(root, folder);
    root_len = strlen(root);
    root_device = st.st_dev;
    if (stop) stop_after = strtoull(stop, NULL, 10);
    if (pause) sync_us = (unsigned)strtoul(pause, NULL, 10);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    unsetenv("LD_PRELOAD"); /* Children aren't followed. */
    lock();
    record((struct header){.kind = STARTED}, NULL, NULL, NULL);
    unlock();
    const char *marks = getenv("POWERCUT_MARKS");
    if (marks) listen_for_marks(marks);
}

/* ---- what is followed ---- */

/* Whether changes through `fd` are recorded; fills in `st`. */
static int followed(int fd, struct stat *st) {
    if (log_fd < 0 || fd < 0) return 0;
    int kept = errno;
    int ok = !fstat(fd, st) && st->st_dev == root_device && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
    errno = kept;
    return ok;
}

/* Makes `path` absolute in `out`, and tells whether it lies in the folder. */
static int below_root(int dir, const char *path, char *out) {
    char base[PATH_MAX] = "", link[64];
    if (log_fd < 0 || !path) return 0;
    if (path[0] != '/' && dir == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else if (path[0] != '/') {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t len = readlink(link, base, sizeof base - 1);
        if (len < 0) return 0;
        base[len] = 0;
    }
    size_t len = (size_t)snprintf(out, PATH_MAX, path[0] == '/' ? "%s%s" : "%s/%s", base, path);
    if (len >= PATH_MAX) return 0;
    while (len > 1 && out[len - 1] == '/') out[--len] = 0;
    return !strncmp(out, root, root_len) && (out[root_len] == '/' || out[root_len] == 0);
}

