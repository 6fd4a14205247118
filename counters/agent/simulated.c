/*
 * Preloaded by Valgrind into a simulated program: tells the tool (simulator/tool.c) where the
 * interpreter is and which thread state belongs to which thread. Everything else the tool sees for
 * itself, so that the program runs as it would without.
 *
 * Up to 3.14 CPython binds a thread state to its thread by pthread_setspecific(); later ones the
 * tool finds by itself.
 */
#include "agent/agent.h"
#include "simulator/requests.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

static struct interpreter python;
static _Thread_local void *told __attribute__((tls_model("initial-exec")));

__attribute__((visibility("default"))) int pthread_setspecific(pthread_key_t key, const void *value)
{
    static int (*next)(pthread_key_t, const void *);
    if (!next)
        next = (int (*)(pthread_key_t, const void *))dlsym(RTLD_NEXT, "pthread_setspecific");
    int result = next(key, value);
    void *state = python.thread_state ? python.thread_state() : NULL;
    if (state != told) {
        told = state;
        VALGRIND_DO_CLIENT_REQUEST_STMT(TALLY_REQUEST_THREAD, state, 0, 0, 0, 0);
    }
    return result;
}

__attribute__((constructor)) static void on_load(void)
{
    uint64_t start, end;
    if (!link_find_interpreter(&python))
        return;
    if (!python.layout) {
        if (VALGRIND_DO_CLIENT_REQUEST_EXPR(0, TALLY_REQUEST_REFUSED, python.version, python.reason,
                                            0, 0, 0))
            _exit(125);
        return;
    }
    link_range_of((uint64_t)(uintptr_t)python.thread_state, &start, &end);
    VALGRIND_DO_CLIENT_REQUEST_STMT(TALLY_REQUEST_PYTHON, python.version, python.code_type, start,
                                    end, python.runtime);
}
