#include "recording/rounds.h"

enum {
    ORDINARY_NS = 200000,   /* cost of a round that is not dear */
    ALLOWANCE_NS = 5000000, /* for finding threads, in a run */
    CREDIT_NS = 1000000,    /* how far the cost may be above the budget, or is saved up below it */
};

void tally_rounds_init(struct tally_rounds *rounds, double share, uint64_t seed)
{
    *rounds =
        (struct tally_rounds){.share = share, .allowance_ns = ALLOWANCE_NS, .random = seed | 1};
}

bool tally_rounds_hurry(struct tally_rounds *rounds)
{
    bool was_calm = rounds->calm > 0;
    rounds->calm = 0;
    return was_calm;
}

/*
 * How long the budget wants a round to be. What a round saw must not decide when the next one is,
 * or some waits would be given the time of others: so this goes by the mean of many, a little above
 * it, and by the cost itself only where much was spent. A round that finds new threads is dear
 * once, and a long rest would leave these out of sight: a run has an allowance for that.
 */
static double budgeted_round(struct tally_rounds *rounds, const struct tally_round *round)
{
    enum { ROUNDS = 256 };
    bool is_dear = round->has_new && round->cost_ns > ORDINARY_NS;
    uint64_t dear = is_dear ? round->cost_ns - ORDINARY_NS : 0;
    uint64_t allowed = dear < rounds->allowance_ns ? dear : rounds->allowance_ns;
    double ordinary = (double)(round->cost_ns - allowed);
    rounds->allowance_ns -= allowed;
    rounds->count += rounds->count < ROUNDS;
    rounds->mean_ns += (ordinary - rounds->mean_ns) / rounds->count;
    rounds->debt_ns += ordinary - rounds->share * (double)round->elapsed_ns;
    if (rounds->debt_ns < -CREDIT_NS)
        rounds->debt_ns = -CREDIT_NS;
    double usual = 1.1 * rounds->mean_ns, owed = rounds->debt_ns - CREDIT_NS;
    return (usual > owed ? usual : owed) / rounds->share;
}

/*
 * A moment in [shortest, 1.5 shortest) after the last one, so that no program's rhythm is met, or
 * what the budget asks for. Where all threads only ran for long there is little to see: the rounds
 * then double, up to eightfold.
 */
uint64_t tally_rounds_next(struct tally_rounds *rounds, const struct tally_round *round)
{
    enum { CALM = 64, CALMEST = 3 };
    rounds->random ^= rounds->random << 13; /* Marsaglia's xorshift */
    rounds->random ^= rounds->random >> 7;
    rounds->random ^= rounds->random << 17;
    rounds->calm = round->has_waits ? 0 : rounds->calm + (rounds->calm < CALM + CALMEST);
    uint64_t length = TALLY_SHORTEST_ROUND_NS;
    if (rounds->calm > CALM)
        length <<= rounds->calm - CALM;
    double wanted = budgeted_round(rounds, round);
    if (wanted > (double)length)
        length =
            wanted < TALLY_LONGEST_ROUND_NS ? (uint64_t)wanted : (uint64_t)TALLY_LONGEST_ROUND_NS;
    return length + rounds->random % (length / 2);
}
