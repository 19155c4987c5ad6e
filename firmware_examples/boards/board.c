#include "board.h"

enum {
  SYS_OPEN = 1,
  SYS_CLOSE = 2,
  SYS_WRITE0 = 4,
  SYS_WRITE = 5,
  SYS_READ = 6,
  SYS_FLEN = 12,
  SYS_GET_CMDLINE = 21,
  SYS_EXIT_EXTENDED = 32
};
enum { READ_BINARY = 1, WRITE_BINARY = 5 };

static int semihosting(int operation, const void* argument) {
  register int r0 __asm("r0") = operation;
  register const void* r1 __asm("r1") = argument;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void board_print(const char* text) { semihosting(SYS_WRITE0, text); }

void board_print_number(uint64_t number) {
  char digits[21];
  size_t first = sizeof digits - 1;
  digits[first] = 0;
  do {
    digits[--first] = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  board_print(digits + first);
}

int board_command_line(char* line, size_t size) {
  uintptr_t block[2] = {(uintptr_t)line, size};
  return semihosting(SYS_GET_CMDLINE, block) == 0;
}

static size_t length_of(const char* text) {
  size_t length = 0;
  while (text[length] != 0) ++length;
  return length;
}

static int open_file(const char* path, uintptr_t mode) {
  const uintptr_t block[3] = {(uintptr_t)path, mode, length_of(path)};
  return semihosting(SYS_OPEN, block);
}

static int close_file(int file) {
  const uintptr_t block[1] = {(uintptr_t)file};
  return semihosting(SYS_CLOSE, block) == 0;
}

int board_read_file(const char* path, void* bytes, size_t* size) {
  const int file = open_file(path, READ_BINARY);
  if (file < 0) return 0;
  const uintptr_t handle[1] = {(uintptr_t)file};
  const int length = semihosting(SYS_FLEN, handle);
  int done = length >= 0 && (size_t)length <= *size;
  if (done) {
    const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)bytes, (size_t)length};
    done = semihosting(SYS_READ, block) == 0;
    *size = (size_t)length;
  }
  return close_file(file) && done;
}

int board_write_file(const char* path, const void* bytes, size_t size) {
  const int file = open_file(path, WRITE_BINARY);
  if (file < 0) return 0;
  const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)bytes, size};
  const int done = semihosting(SYS_WRITE, block) == 0;
  return close_file(file) && done;
}

_Noreturn void board_exit(int code) {
  /* ADP_Stopped_ApplicationExit */
  const uintptr_t block[2] = {0x20026, (uintptr_t)code};
  for (;;) semihosting(SYS_EXIT_EXTENDED, block);
}

/* SysTick counts down from 2^24 - 1 at the processor's clock, again and again. */
#define SYSTICK ((volatile uint32_t*)0xE000E010) /* control, reload, current */
enum { SYSTICK_PERIOD = 1 << 24, SYSTICK_TICKING = 7 };

static volatile uint32_t periods;

void systick(void);
void systick(void) { ++periods; }

uint64_t board_clock(void) {
  if ((SYSTICK[0] & 1) == 0) {
    SYSTICK[1] = SYSTICK_PERIOD - 1;
    SYSTICK[2] = 0;
    SYSTICK[0] = SYSTICK_TICKING;
    while (SYSTICK[2] == 0) {
    }
  }
  uint32_t before, left;
  do {
    before = periods;
    left = SYSTICK[2];
  } while (before != periods);
  return ((uint64_t)before * SYSTICK_PERIOD + (SYSTICK_PERIOD - 1 - left)) * 1000 / (BOARD_HZ / 1000000);
}

extern unsigned char extra_begin[], extra_end[];

unsigned char* board_memory(size_t* bytes) {
  *bytes = (size_t)(extra_end - extra_begin);
  return extra_begin;
}
