/*
 * Preloaded by Valgrind into a simulated program: tells the tool (simulator/tool.c) where the
 * interpreter is and which thread state belongs to which thread. Everything else the tool sees for
 * itself, so that the program runs as it would without. environment.c keeps away what would
 * make runs differ.
 *
 * Up to 3.14 CPython binds a thread state to its thread by pthread_setspecific(); later ones the
 * tool finds by itself.
 */
#include "agent/agent.h"
#include "agent/environment.h"
#include "simulator/requests.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static struct interpreter python;
static volatile bool may_have_come; /* an interpreter, with a library that was loaded */
static _Thread_local void *told __attribute__((tls_model("initial-exec")));

static void find_python(void)
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
    environment_set_apart();
}

__attribute__((constructor)) static void on_load(void)
{
    find_python();
}

/* An interpreter that came with dlopen() is looked for when it makes its first key: then it is
 * loaded, and has no thread state yet. The tool looks for that one when it sees gettid. */
static void look_again(void)
{
    if (!may_have_come || python.layout)
        return;
    may_have_come = false;
    find_python();
    if (python.layout)
        syscall(SYS_gettid);
}

/* dlopen() looks at its caller's address, so it must be entered by a jump: a sibling call. */
EXPORT void *dlopen(const char *file, int mode)
{
    static void *(*next)(const char *, int);
    if (!next)
        next = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    may_have_come = true;
    return next(file, mode);
}

EXPORT int pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
    static int (*next)(pthread_key_t *, void (*)(void *));
    if (!next)
        next = (int (*)(pthread_key_t *, void (*)(void *)))dlsym(RTLD_NEXT, "pthread_key_create");
    look_again();
    return next(key, destroy);
}

EXPORT int pthread_setspecific(pthread_key_t key, const void *value)
{
    static int (*next)(pthread_key_t, const void *);
    if (!next)
        next = (int (*)(pthread_key_t, const void *))dlsym(RTLD_NEXT, "pthread_setspecific");
    look_again();
    int result = next(key, value);
    void *state = python.thread_state ? python.thread_state() : NULL;
    if (state != told) {
        told = state;
        VALGRIND_DO_CLIENT_REQUEST_STMT(TALLY_REQUEST_THREAD, state, 0, 0, 0, 0);
    }
    return result;
}
