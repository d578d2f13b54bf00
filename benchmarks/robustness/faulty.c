/* Fails the Nth file operation below a folder, or kills the process in it: LD_PRELOAD it with FAULTY_FOLDER, FAULTY_CALL
 * (open, read, write, rename, fsync, truncate, mkdir, unlink), FAULTY_NTH (from 1) and FAULTY_ERRNO (0: SIGKILL instead,
 * within a write after half of it). With FAULTY_STAYS=1 every later one fails too, as on a disk that stays full. With
 * FAULTY_COUNT=FOLDER each operation adds one byte to the file of its name there.
 *
 *     cc -shared -fPIC -o faulty.so benchmarks/faulty.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(result, name, ...)                          \
    static result (*real)(__VA_ARGS__);                  \
    if (!real) real = dlsym(RTLD_NEXT, #name)

static int seen;

static int below(const char *path) {
    const char *folder = getenv("FAULTY_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int below_fd(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int below_at(int folder, const char *path) {
    return path && path[0] != '/' && folder != AT_FDCWD ? below_fd(folder) : below(path);
}

static void count(const char *call) {
    char path[4096];
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    ssize_t (*real_write)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    snprintf(path, sizeof path, "%s/%s", getenv("FAULTY_COUNT"), call);
    int fd = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) { real_write(fd, "x", 1); close(fd); }
}

/* Whether this operation is the one: 0 no, -1 it fails and errno is set, 1 the process dies in it. */
static int fails(const char *call, int here) {
    int before = errno;
    const char *wanted = getenv("FAULTY_CALL"), *nth = getenv("FAULTY_NTH"), *stays = getenv("FAULTY_STAYS");
    if (!here) { errno = before; return 0; }
    if (getenv("FAULTY_COUNT")) count(call);
    errno = before;
    if (!wanted || strcmp(wanted, call) || !nth) return 0;
    int now = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST), then = atoi(nth);
    if (now < then || (now > then && !(stays && *stays == '1'))) return 0;
    int code = atoi(getenv("FAULTY_ERRNO"));
    if (code == 0) return 1;
    errno = code;
    return -1;
}

static int dies_or_fails(const char *call, int here) {
    int how = fails(call, here);
    if (how == 1) kill(getpid(), SIGKILL);
    return how;
}

#define OPEN(name)                                                                             \
    int name(const char *path, int flags, ...) {                                               \
        REAL(int, name, const char *, int, ...);                                               \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        return dies_or_fails("open", below(path)) ? -1 : real(path, flags, mode);              \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...) {                                       \
        REAL(int, name, int, const char *, int, ...);                                              \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest);     \
        return dies_or_fails("open", below_at(folder, path)) ? -1 : real(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t read(int fd, void *data, size_t size) {
    REAL(ssize_t, read, int, void *, size_t);
    return dies_or_fails("read", below_fd(fd)) ? -1 : real(fd, data, size);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    int how = fails("write", below_fd(fd));
    if (how == 1) { real(fd, data, size / 2); kill(getpid(), SIGKILL); }
    return how ? -1 : real(fd, data, size);
}

#define PREAD(name)                                                                          \
    ssize_t name(int fd, void *data, size_t size, off_t from) {                              \
        REAL(ssize_t, name, int, void *, size_t, off_t);                                     \
        return dies_or_fails("read", below_fd(fd)) ? -1 : real(fd, data, size, from);        \
    }
PREAD(pread)
PREAD(pread64)

#define PWRITE(name)                                                                         \
    ssize_t name(int fd, const void *data, size_t size, off_t from) {                        \
        REAL(ssize_t, name, int, const void *, size_t, off_t);                               \
        int how = fails("write", below_fd(fd));                                              \
        if (how == 1) { real(fd, data, size / 2, from); kill(getpid(), SIGKILL); }           \
        return how ? -1 : real(fd, data, size, from);                                        \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define SENDFILE(name)                                                                       \
    ssize_t name(int to, int from, off_t *offset, size_t size) {                             \
        REAL(ssize_t, name, int, int, off_t *, size_t);                                      \
        return dies_or_fails("write", below_fd(to)) ? -1 : real(to, from, offset, size);     \
    }
SENDFILE(sendfile)
SENDFILE(sendfile64)

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    return dies_or_fails("rename", below(to)) ? -1 : real(from, to);
}

int fsync(int fd) {
    REAL(int, fsync, int);
    return dies_or_fails("fsync", below_fd(fd)) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return dies_or_fails("fsync", below_fd(fd)) ? -1 : real(fd);
}

#define TRUNCATE(name)                                                                       \
    int name(int fd, off_t size) {                                                           \
        REAL(int, name, int, off_t);                                                         \
        return dies_or_fails("truncate", below_fd(fd)) ? -1 : real(fd, size);                \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    return dies_or_fails("mkdir", below(path)) ? -1 : real(path, mode);
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    return dies_or_fails("unlink", below(path)) ? -1 : real(path);
}
