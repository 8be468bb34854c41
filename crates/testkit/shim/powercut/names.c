/* The recorder's part for names in folders, and for syncs. Follows content.c in one text. */

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
