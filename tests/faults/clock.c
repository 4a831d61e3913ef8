/* A clock that steps. In a program that preloads this library, the time of day is off
   by the number of seconds in a file. Monotonic clocks stay right, as they do when you
   set a machine's clock. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define LEAST_TIME_OF_DAY 1000000000
#define SECOND 1000000000LL
#define SLICE (SECOND / 20)

static const volatile int64_t *seconds_off;

__attribute__((constructor)) static void open_file(void)
{
    int file = open(OFFSET_FILE, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        seconds_off = mapped;
    close(file);
}

static int real_clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    return real(clock, now);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = real_clock_gettime(clock, now);
    int is_time_of_day = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (result == 0 && is_time_of_day && seconds_off)
        now->tv_sec += *seconds_off;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    if (result == 0) {
        now->tv_sec = precise.tv_sec;
        now->tv_usec = precise.tv_nsec / 1000;
    }
    return result;
}

time_t time(time_t *now)
{
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}

/* A thread that waits for a time of day wakes when this clock shows it, even if the
   clock steps during the wait. The kernel measures waits by the machine's clock, so
   these functions wait in short slices and look at the offset again after each. */

typedef int wait_function(void *condition, void *mutex, const struct timespec *deadline);

static struct timespec later(struct timespec time, int64_t nanoseconds)
{
    int64_t sum = time.tv_nsec + nanoseconds;
    time.tv_sec += sum / SECOND;
    time.tv_nsec = sum % SECOND;
    return time;
}

static wait_function *next_function(const char *name)
{
    /* On x86-64, glibc also has an older, incompatible pthread_cond_timedwait */
    void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    return found ? found : dlsym(RTLD_NEXT, name);
}

static int wait_for(
    wait_function *wait,
    int timed_out,
    void *condition,
    void *mutex,
    const struct timespec *deadline)
{
    /* A deadline this small counts from the boot of the machine: a monotonic clock */
    if (deadline->tv_sec < LEAST_TIME_OF_DAY || !seconds_off)
        return wait(condition, mutex, deadline);
    for (;;) {
        struct timespec here;
        real_clock_gettime(CLOCK_REALTIME, &here);
        int64_t left = (deadline->tv_sec - here.tv_sec - *seconds_off) * SECOND
            + deadline->tv_nsec - here.tv_nsec;
        struct timespec until = later(here, left <= 0 ? 0 : left < SLICE ? left : SLICE);
        int result = wait(condition, mutex, &until);
        if (result != timed_out || left <= SLICE)
            return result;
    }
}

int pthread_cond_timedwait(
    pthread_cond_t *restrict condition,
    pthread_mutex_t *restrict mutex,
    const struct timespec *restrict deadline)
{
    static wait_function *real;
    if (!real)
        real = next_function("pthread_cond_timedwait");
    return wait_for(real, ETIMEDOUT, condition, mutex, deadline);
}

int cnd_timedwait(
    cnd_t *restrict condition,
    mtx_t *restrict mutex,
    const struct timespec *restrict deadline)
{
    static wait_function *real;
    if (!real)
        real = next_function("cnd_timedwait");
    return wait_for(real, thrd_timedout, condition, mutex, deadline);
}
