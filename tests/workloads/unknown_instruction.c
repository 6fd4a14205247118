/* Runs an instruction that no simulator knows: VADDPS on 512-bit registers. */
int main(void)
{
#if defined(__x86_64__)
    __asm__ volatile(".byte 0x62,0xf1,0x7c,0x48,0x58,0xc1");
#endif
    return 0;
}
