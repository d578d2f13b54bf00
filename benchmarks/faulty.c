/* Fails the Nth file operation below a folder: LD_PRELOAD it with FAULTY_FOLDER, FAULTY_CALL (open, write, rename,
 * fsync), FAULTY_NTH (from 1) and FAULTY_ERRNO. With FAULTY_COUNT=FILE every such operation adds one byte to FILE.
 *
 *     cc -shared -fPIC -o faulty.so benchmarks/faulty.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

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

/* Whether this operation is the one that fails; errno is set then. */
static int fails(const char *call, int here) {
    const char *wanted = getenv("FAULTY_CALL"), *nth = getenv("FAULTY_NTH"), *count = getenv("FAULTY_COUNT");
    if (!here || !wanted || strcmp(wanted, call)) return 0;
    seen++;
    if (count) {
        static int (*real_open)(const char *, int, ...);
        static ssize_t (*real_write)(int, const void *, size_t);
        if (!real_open) real_open = dlsym(RTLD_NEXT, "open");
        if (!real_write) real_write = dlsym(RTLD_NEXT, "write");
        int fd = real_open(count, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) { real_write(fd, "x", 1); close(fd); }
    }
    if (!nth || seen != atoi(nth)) return 0;
    errno = atoi(getenv("FAULTY_ERRNO"));
    return 1;
}

#define OPEN(name)                                                                        \
    int name(const char *path, int flags, ...) {                                          \
        static int (*real)(const char *, int, ...);                                       \
        if (!real) real = dlsym(RTLD_NEXT, #name);                                        \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        if (fails("open", below(path))) return -1;                                        \
        return real(path, flags, mode);                                                   \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (fails("write", below_fd(fd))) return -1;
    return real(fd, data, size);
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = dlsym(RTLD_NEXT, "rename");
    if (fails("rename", below(to))) return -1;
    return real(from, to);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    if (fails("fsync", below_fd(fd))) return -1;
    return real(fd);
}
