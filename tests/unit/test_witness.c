/* Signals to the group are told from signals to the process alone, however soon it asks. */
#include "base/witness.h"
#include "unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 200 };

/* In a group of its own: answers to each SIGUSR1 whether the witness saw it. */
static _Noreturn void answer(int answers)
{
    struct tally_witness witness;
    sigset_t set;
    int signal;
    setpgid(0, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    tally_witness_start(&witness);
    bool saw = witness.pid > 0;
    while (write(answers, &saw, sizeof(saw)) == sizeof(saw)) {
        sigwait(&set, &signal);
        saw = tally_witness_saw(&witness, signal);
    }
    _exit(1);
}

static bool next_answer(int answers)
{
    bool saw;
    assert_int_equal(read(answers, &saw, sizeof(saw)), sizeof(saw));
    return saw;
}

static void test_group(void **state)
{
    int answers[2];
    (void)state;
    assert_int_equal(pipe(answers), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t pid = fork();
    if (pid == 0)
        answer(answers[1]);
    assert_true(next_answer(answers[0]));
    for (int i = 0; i < ROUNDS; i++) {
        bool is_group = i % 3 != 0;
        assert_int_equal(kill(is_group ? -pid : pid, SIGUSR1), 0);
        assert_int_equal(next_answer(answers[0]), is_group);
    }
    kill(pid, SIGKILL); /* its witness is not sent to, and ends all the same */
    alarm(20);
    while (waitpid(-pid, NULL, 0) > 0)
        ;
    alarm(0);
    close(answers[0]);
    close(answers[1]);
}

static void test_end(void **state)
{
    struct tally_witness witness;
    (void)state;
    tally_witness_start(&witness);
    pid_t pid = witness.pid;
    assert_true(pid > 0 && !tally_witness_saw(&witness, SIGUSR1));
    tally_witness_end(&witness);
    assert_int_equal(waitpid(pid, NULL, 0), -1);
    assert_false(tally_witness_saw(&witness, SIGUSR1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
