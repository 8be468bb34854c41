/* The recorder's part for the content of files: opening, writing, resizing. Follows log.c in one text. */

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

