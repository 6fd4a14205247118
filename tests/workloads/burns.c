/* A library: burn(n) runs a loop of two instructions n times; burn_both(n) has burn(n) do so too.
 */
#if defined(__x86_64__)
#define LOOP(n) __asm__ volatile("1: dec %0\n jnz 1b" : "+r"(n))
#else
#define LOOP(n) __asm__ volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(n))
#endif

void burn(long n);
void burn_both(long n);

__attribute__((noinline)) void burn(long n)
{
    LOOP(n);
}

void burn_both(long n)
{
    burn(n);
    LOOP(n);
}
