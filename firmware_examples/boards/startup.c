/* From reset to main, for any core of the M profile. */
#include <stdint.h>
#include <string.h>

#include "board.h"

/* Of the linker script. */
extern unsigned char data_begin[], data_end[], data_load[], bss_begin[], bss_end[], stack_end[], stack_begin[];
int main(void);
void systick(void);

enum { PAINT = 0xA5 };

size_t board_stack_used(void) {
  const unsigned char* at = stack_end;
  while (at < stack_begin && *at == PAINT) ++at;
  return (size_t)(stack_begin - at);
}

void reset(void);
void reset(void) {
#if defined(__ARM_FP)
  /* Full access to the FPU, and to Helium; neither is there before. */
  *(volatile uint32_t*)0xE000ED88 |= 0xF << 20;
  __asm volatile("dsb\n isb" ::: "memory");
#endif
  memcpy(data_begin, data_load, (size_t)(data_end - data_begin));
  memset(bss_begin, 0, (size_t)(bss_end - bss_begin));
  unsigned char* here;
  __asm volatile("mov %0, sp" : "=r"(here));
  /* What this call itself writes is above. */
  memset(stack_end, PAINT, (size_t)(here - stack_end) - 64);
  board_exit(main());
}

/* Says which fault, by the registers of the Armv7-M and Armv8-M manuals: CFSR, HFSR, MMFAR, BFAR. */
static void fault(void) {
  static char text[] = "\nfault: 00000000 00000000 00000000 00000000\n";
  const volatile uint32_t* const status = (const volatile uint32_t*)0xE000ED28;
  static const unsigned char registers[4] = {0, 1, 3, 4};
  for (int i = 0; i < 4; ++i) {
    for (int digit = 0; digit < 8; ++digit)
      text[8 + 9 * i + digit] = "0123456789abcdef"[status[registers[i]] >> (28 - 4 * digit) & 15];
  }
  board_print(text);
  board_exit(99);
}

typedef void (*handler)(void);

__attribute__((section(".vectors"), used)) static const struct {
  const void* stack;
  handler handlers[15];
} vectors = {stack_begin, {reset, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, systick}};
