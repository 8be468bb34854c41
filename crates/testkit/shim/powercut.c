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

/* ---- opening and creating ---- */

static int make_mark(const char *path) {
    lock();
    record((struct header){.kind = MARK}, path + root_len + strlen(MARKS), NULL, NULL);
    unlock();
    errno = ENOENT;
    return -1;
}

static void record_open(int fd, int flags, const char *path, int existed) {
    struct stat st;
    int kept = errno;
    if (fstat(fd, &st)) return;
    if ((flags & O_TMPFILE) == O_TMPFILE) record_unsupported("open(O_TMPFILE)", 0);
    else if (flags & O_DSYNC) record_unsupported("open(O_DSYNC)", 0);
    else if (!existed) record((struct header){.kind = CREATE, .inode = st.st_ino}, path, NULL, NULL);
    else if (flags & O_TRUNC) record((struct header){.kind = RESIZE, .inode = st.st_ino}, NULL, NULL, NULL);
    errno = kept;
}

static int do_open(int dir, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    struct stat st;
    int below = below_root(dir, path, full);
    if (below && !strncmp(full + root_len, MARKS, strlen(MARKS))) return make_mark(full);
    int changes = (flags & (O_CREAT | O_TRUNC | O_DSYNC)) || (flags & O_TMPFILE) == O_TMPFILE;
    if (!below || !changes) return (int)syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);
    lock();
    int existed = !fstatat(dir, path, &st, 0);
    int fd = (int)syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);
    if (fd >= 0) record_open(fd, flags, full, existed);
    unlock();
    return fd;
}

#define OPEN_MODE(flags)                                              \
    mode_t mode = 0;                                                  \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                            \
        va_list rest;                                                 \
        va_start(rest, flags);                                        \
        mode = va_arg(rest, mode_t);                                  \
        va_end(rest);                                                 \
    }

int open(const char *path, int flags, ...) { OPEN_MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { OPEN_MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { OPEN_MODE(flags) return do_open(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { OPEN_MODE(flags) return do_open(dir, path, flags, mode); }
int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* ---- content ---- */

/* Records what a write of `done` bytes changed; `at` < 0 means the file's own position, which has moved behind it. */
static void record_write(int fd, const struct stat *st, off_t at, const struct iovec *parts, ssize_t done) {
    if (done <= 0) return;
    int kept = errno;
    if (at < 0) at = lseek(fd, 0, SEEK_CUR) - done;
    struct header h = {.kind = WRITE, .inode = st->st_ino, .offset = (uint64_t)at, .data_len = (uint64_t)done};
    record(h, NULL, NULL, parts);
    errno = kept;
}

ssize_t write(int fd, const void *bytes, size_t len) {
    struct stat st;
    struct iovec part = {(void *)bytes, len};
    if (!followed(fd, &st)) return syscall(SYS_write, fd, bytes, len);
    lock();
    ssize_t done = syscall(SYS_write, fd, bytes, len);
    record_write(fd, &st, -1, &part, done);
    unlock();
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct stat st;
    if (!followed(fd, &st)) return syscall(SYS_writev, fd, parts, count);
    lock();
    ssize_t done = syscall(SYS_writev, fd, parts, count);
    record_write(fd, &st, -1, parts, done);
    unlock();
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    struct stat st;
    struct iovec part = {(void *)bytes, len};
    if (!followed(fd, &st)) return syscall(SYS_pwrite64, fd, bytes, len, at);
    lock();
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, len, at);
    record_write(fd, &st, at, &part, done);
    unlock();
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return pwrite64(fd, bytes, len, at); }

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags) {
    struct stat st;
    if (!followed(fd, &st)) return syscall(SYS_pwritev2, fd, parts, count, at, 0, flags);
    lock();
    ssize_t done = syscall(SYS_pwritev2, fd, parts, count, at, 0, flags);
    if (flags) record_unsupported("pwritev2 with flags", st.st_ino);
    record_write(fd, &st, at, parts, done);
    unlock();
    return done;
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
    return pwritev64v2(fd, parts, count, at, flags);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    return pwritev64v2(fd, parts, count, at, 0);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return pwritev64v2(fd, parts, count, at, 0);
}

/* Records what the kernel copied into `fd`, by reading it back (`fd` itself may be write-only). */
static void record_copied(int fd, const struct stat *st, off_t at, ssize_t done) {
    char link[64];
    int kept = errno;
    if (at < 0) at = lseek(fd, 0, SEEK_CUR) - done;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    char *bytes = malloc((size_t)done);
    int reader = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    ssize_t got = bytes ? pread(reader, bytes, (size_t)done, at) : -1;
    syscall(SYS_close, reader);
    struct iovec part = {bytes, (size_t)done};
    if (got == done) record_write(fd, st, at, &part, done);
    else record_unsupported("copy that cannot be read back", st->st_ino);
    free(bytes);
    errno = kept;
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned flags) {
    struct stat st;
    off_t at = out_at ? *out_at : -1;
    if (!followed(out, &st)) return syscall(SYS_copy_file_range, in, in_at, out, out_at, len, flags);
    lock();
    ssize_t done = syscall(SYS_copy_file_range, in, in_at, out, out_at, len, flags);
    if (done > 0) record_copied(out, &st, at, done);
    unlock();
    return done;
}

ssize_t sendfile64(int out, int in, off64_t *in_at, size_t len) {
    struct stat st;
    if (!followed(out, &st)) return syscall(SYS_sendfile, out, in, in_at, len);
    lock();
    ssize_t done = syscall(SYS_sendfile, out, in, in_at, len);
    if (done > 0) record_copied(out, &st, -1, done);
    unlock();
    return done;
}

ssize_t sendfile(int out, int in, off_t *in_at, size_t len) { return sendfile64(out, in, in_at, len); }

ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned flags) {
    struct stat st;
    lock();
    if (followed(out, &st)) record_unsupported("splice", st.st_ino);
    unlock();
    return syscall(SYS_splice, in, in_at, out, out_at, len, flags);
}

void *mmap64(void *at, size_t len, int protection, int flags, int fd, off64_t offset) {
    struct stat st;
    if ((flags & MAP_SHARED) && (protection & PROT_WRITE) && followed(fd, &st)) {
        lock();
        record_unsupported("shared writable mmap", st.st_ino);
        unlock();
    }
    return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    return mmap64(at, len, protection, flags, fd, offset);
}

/* ---- sizes ---- */

int ftruncate64(int fd, off64_t len) {
    struct stat st;
    if (!followed(fd, &st)) return (int)syscall(SYS_ftruncate, fd, len);
    lock();
    int failed = (int)syscall(SYS_ftruncate, fd, len);
    struct header h = {.kind = RESIZE, .inode = st.st_ino, .offset = (uint64_t)len};
    if (!failed) record(h, NULL, NULL, NULL);
    unlock();
    return failed;
}

int ftruncate(int fd, off_t len) { return ftruncate64(fd, len); }

int truncate64(const char *path, off64_t len) {
    int fd = do_open(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    int failed = ftruncate64(fd, len);
    syscall(SYS_close, fd);
    return failed;
}

int truncate(const char *path, off_t len) { return truncate64(path, len); }

int fallocate64(int fd, int mode, off64_t at, off64_t len) {
    struct stat st = {0};
    lock();
    int follow = followed(fd, &st);
    int failed = (int)syscall(SYS_fallocate, fd, mode, at, len);
    struct header h = {.kind = RESIZE, .inode = st.st_ino, .offset = (uint64_t)(at + len)};
    if (!failed && follow && mode == 0 && at + len > st.st_size) record(h, NULL, NULL, NULL);
    if (!failed && follow && mode != 0 && mode != FALLOC_FL_KEEP_SIZE) record_unsupported("fallocate", st.st_ino);
    unlock();
    return failed;
}

int fallocate(int fd, int mode, off_t at, off_t len) { return fallocate64(fd, mode, at, len); }
int posix_fallocate64(int fd, off64_t at, off64_t len) { return fallocate64(fd, 0, at, len) ? errno : 0; }
int posix_fallocate(int fd, off_t at, off_t len) { return posix_fallocate64(fd, at, len); }

/* ---- names ---- */

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char full_from[PATH_MAX], full_to[PATH_MAX];
    int leaves = below_root(from_dir, from, full_from), arrives = below_root(to_dir, to, full_to);
    lock();
    int failed = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (!failed && leaves != arrives) record_unsupported("rename across the folder's border", 0);
    else if (!failed && leaves && (flags & ~RENAME_NOREPLACE)) record_unsupported("renameat2 with flags", 0);
    else if (!failed && leaves) record((struct header){.kind = RENAME}, full_from, full_to, NULL);
    unlock();
    return failed;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return renameat2(from_dir, from, to_dir, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int dir, const char *path, int flags) {
    char full[PATH_MAX];
    int below = below_root(dir, path, full);
    lock();
    int failed = (int)syscall(SYS_unlinkat, dir, path, flags);
    struct header h = {.kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK};
    if (!failed && below) record(h, full, NULL, NULL);
    unlock();
    return failed;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int dir, const char *path, mode_t mode) {
    char full[PATH_MAX];
    struct stat st;
    int below = below_root(dir, path, full);
    lock();
    int failed = (int)syscall(SYS_mkdirat, dir, path, mode);
    if (!failed && below && !stat(full, &st))
        record((struct header){.kind = MKDIR, .inode = st.st_ino}, full, NULL, NULL);
    unlock();
    return failed;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    char full[PATH_MAX];
    struct stat st;
    int below = below_root(to_dir, to, full);
    lock();
    int failed = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (!failed && below && !stat(full, &st))
        record((struct header){.kind = LINK, .inode = st.st_ino}, full, NULL, NULL);
    unlock();
    return failed;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int dir, const char *path) {
    char full[PATH_MAX];
    int below = below_root(dir, path, full);
    lock();
    if (below) record_unsupported("symlink", 0);
    unlock();
    return (int)syscall(SYS_symlinkat, target, dir, path);
}

int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

/* ---- syncs ---- */

static void record_sync(enum kind kind, uint32_t detail, ino_t inode, uint64_t id) {
    lock();
    record((struct header){.kind = kind, .detail = detail, .inode = inode, .offset = id}, NULL, NULL, NULL);
    unlock();
}

static int do_sync(int fd, uint32_t detail) {
    struct stat st;
    if (!followed(fd, &st)) return (int)syscall(detail == SYNC_DATA ? SYS_fdatasync : SYS_fsync, fd);
    uint64_t id = __atomic_add_fetch(&last_sync, 1, __ATOMIC_SEQ_CST);
    record_sync(SYNC_BEGIN, detail, st.st_ino, id);
    if (sync_us > 1) usleep(sync_us / 2 + (useconds_t)(id * 2654435761u % sync_us));
    record_sync(SYNC_END, detail, st.st_ino, id);
    return 0;
}

int fsync(int fd) { return do_sync(fd, SYNC_ALL); }
int fdatasync(int fd) { return do_sync(fd, SYNC_DATA); }

int syncfs(int fd) {
    struct stat st;
    lock();
    if (followed(fd, &st)) record_unsupported("syncfs", 0);
    unlock();
    return (int)syscall(SYS_syncfs, fd);
}

int sync_file_range(int fd, off64_t at, off64_t len, unsigned flags) {
    struct stat st;
    lock();
    if (followed(fd, &st)) record_unsupported("sync_file_range", st.st_ino);
    unlock();
    return (int)syscall(SYS_sync_file_range, fd, at, len, flags);
}
