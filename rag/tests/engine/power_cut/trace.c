/* Loaded before libc: writes down, in QUORATE_TRACE/log, what is given to fsync and fdatasync, and keeps what it was.
   A file: `F key number`, and its bytes in QUORATE_TRACE/number. A folder: `D key`. Then all names below
   QUORATE_TRACE_ROOT: a line `E folder name kind key` for each. A key tells a file or folder from any other that was there before or will be. What is written down
   is what was there when the call began. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static int next_number;

static void key(int folder, const char *name, int flags, char *out, size_t size, char *kind) {
    struct statx s;
    if (statx(folder, name, flags | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &s) != 0) {
        snprintf(out, size, "-");
        *kind = '-';
        return;
    }
    snprintf(out, size, "%llu.%lld.%u", (unsigned long long)s.stx_ino, (long long)s.stx_btime.tv_sec, s.stx_btime.tv_nsec);
    *kind = S_ISDIR(s.stx_mode) ? 'd' : S_ISREG(s.stx_mode) ? 'f' : '-';
}

static void names(FILE *out, int folder, const char *own) {
    DIR *all = fdopendir(folder);
    struct dirent *entry;
    if (!all) return;
    while ((entry = readdir(all))) {
        char of_entry[64], kind;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        key(folder, entry->d_name, 0, of_entry, sizeof of_entry, &kind);
        if (kind == '-') continue;
        fprintf(out, "E %s %s %c %s\n", own, entry->d_name, kind, of_entry);
        if (kind == 'd') {
            int below = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (below >= 0) names(out, below, of_entry);
        }
    }
    closedir(all);
}

static void note(int fd) {
    const char *trace = getenv("QUORATE_TRACE"), *root = getenv("QUORATE_TRACE_ROOT");
    char own[64], kind, path[4096];
    if (!trace || !root) return;
    key(fd, "", AT_EMPTY_PATH, own, sizeof own, &kind);
    if (kind == '-') return;
    pthread_mutex_lock(&one);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (kind == 'f') {
        int number = ++next_number;
        snprintf(path, sizeof path, "%s/%d", trace, number);
        int copy = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int in = open(path, O_RDONLY | O_CLOEXEC);
        char bytes[65536];
        ssize_t n;
        while (in >= 0 && copy >= 0 && (n = read(in, bytes, sizeof bytes)) > 0)
            if (write(copy, bytes, n) != n) abort();
        if (in >= 0) close(in);
        if (copy >= 0) close(copy);
        fprintf(out, "F %s %d\n", own, number);
    } else {
        fprintf(out, "D %s\n", own);
    }
    int top = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top >= 0) {
        key(top, "", AT_EMPTY_PATH, own, sizeof own, &kind);
        names(out, top, own);
    }
    fclose(out);
    snprintf(path, sizeof path, "%s/log", trace);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0 || write(log, text, length) != (ssize_t)length) abort();
    close(log);
    free(text);
    pthread_mutex_unlock(&one);
}

int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    note(fd);
    return real(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    note(fd);
    return real(fd);
}
