/*
 * A program whose user instructions are known: ITERATIONS of 4 instructions in each of THREADS
 * threads of each of CHILDREN further processes, and in this one.
 *
 *   loop [--papi] ITERATIONS [THREADS [CHILDREN]]
 *
 * With --papi PAPI counts the calling thread's loop, and it is printed as CYCLES INSTRUCTIONS, user
 * code alone: the program must have neither threads nor children then.
 */
#include <papi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long iterations;

static void *loop(void *unused)
{
    unsigned long left = iterations;
#if defined(__aarch64__)
    __asm__ volatile("1: subs %0, %0, #1\n"
                     "   nop\n"
                     "   nop\n"
                     "   b.ne 1b\n"
                     : "+r"(left)
                     :
                     : "cc");
#elif defined(__x86_64__)
    __asm__ volatile("1: dec %0\n"
                     "   nop\n"
                     "   nop\n"
                     "   jnz 1b\n"
                     : "+r"(left)
                     :
                     : "cc");
#else
#error "write the loop of 4 instructions for this processor"
#endif
    return unused;
}

static void fail(const char *what)
{
    fprintf(stderr, "loop: %s\n", what);
    exit(1);
}

static void loop_by_papi(void)
{
    int set = PAPI_NULL;
    long long counts[2];
    if (PAPI_library_init(PAPI_VER_CURRENT) != PAPI_VER_CURRENT ||
        PAPI_set_domain(PAPI_DOM_USER) != PAPI_OK || PAPI_create_eventset(&set) != PAPI_OK ||
        PAPI_add_named_event(set, "PAPI_TOT_CYC") != PAPI_OK ||
        PAPI_add_named_event(set, "PAPI_TOT_INS") != PAPI_OK || PAPI_start(set) != PAPI_OK)
        fail("PAPI cannot count here");
    loop(NULL);
    if (PAPI_stop(set, counts) != PAPI_OK)
        fail("PAPI cannot stop");
    printf("%lld %lld\n", counts[0], counts[1]);
}

static void loop_in_threads(unsigned long threads)
{
    pthread_t *started = calloc(threads, sizeof(*started));
    if (!started)
        fail("no memory");
    for (unsigned long i = 0; i < threads; i++)
        if (pthread_create(&started[i], NULL, loop, NULL))
            fail("no thread");
    for (unsigned long i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    free(started);
}

int main(int argc, char **argv)
{
    int papi = argc > 1 && !strcmp(argv[1], "--papi");
    argc -= papi;
    argv += papi;
    if (argc < 2)
        fail("how many iterations?");
    iterations = strtoul(argv[1], NULL, 10);
    unsigned long threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    unsigned long children = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (papi) {
        loop_by_papi();
        return 0;
    }
    for (unsigned long i = 0; i < children; i++) {
        pid_t child = fork();
        if (child == 0) {
            loop_in_threads(threads);
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    loop(NULL);
    loop_in_threads(threads);
    return 0;
}
