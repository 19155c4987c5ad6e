#include "check.h"

#include "board.h"

void print_hash(uint64_t hash) {
  char digits[17];
  for (size_t i = 0; i < 16; ++i) digits[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
  digits[16] = 0;
  board_print(digits);
}

uint64_t hash_start(void) { return 0xCBF29CE484222325; }

uint64_t hash_bytes(uint64_t hash, const void* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) hash = (hash ^ ((const unsigned char*)bytes)[i]) * 0x100000001B3;
  return hash;
}

uint32_t random_bits(random_state* random) {
  uint32_t bits = random->state;
  bits ^= bits << 13;
  bits ^= bits >> 17;
  bits ^= bits << 5;
  return random->state = bits;
}

float random_real(random_state* random) { return (float)(random_bits(random) >> 8) * 0x1p-23F - 1.0F; }

#if defined(__arm__) && !defined(__linux__)

enum { PAINTED = 48 * 1024, PAINT = 0xA5 };

static volatile unsigned char* stack_here(void) {
  volatile unsigned char* here;
  __asm volatile("mov %0, sp" : "=r"(here));
  return here;
}

/* Both are leaves, whose own frames are smaller than what they leave out. */
__attribute__((noinline)) void paint_stack(void) {
  volatile unsigned char* const here = stack_here() - 32;
  for (volatile unsigned char* at = here - PAINTED; at < here; ++at) *at = PAINT;
}

__attribute__((noinline)) size_t painted_stack_used(void) {
  volatile unsigned char* const here = stack_here() - 32;
  const volatile unsigned char* at = here - PAINTED;
  while (*at == PAINT) ++at;
  return (size_t)(here - at) + 32;
}

#else

void paint_stack(void) {}
size_t painted_stack_used(void) { return 0; }

#endif
