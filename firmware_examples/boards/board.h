/* What the examples need of a board: text out, files of the machine that debugs or emulates it, the end of a program,
 * and a clock. All of it is semihosting (Arm's "Semihosting for AArch32 and AArch64", 2.0), which QEMU and debuggers
 * answer; on a board of your own, replace board.c by a UART. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

void board_print(const char* text);
void board_print_number(uint64_t number);

/* The program's name and its arguments, parted by blanks, in `line` of `size` bytes. False if there are none. */
int board_command_line(char* line, size_t size);

/* Up to `size` bytes of a file, and their number in `*size`. False if it cannot be read or is larger. */
int board_read_file(const char* path, void* bytes, size_t* size);
int board_write_file(const char* path, const void* bytes, size_t size);

_Noreturn void board_exit(int code);

/* Nanoseconds since the start, in steps of 40. Where QEMU counts instructions (-icount shift=0), instructions. */
uint64_t board_clock(void);

/* The most bytes that the stack has held since the start; 0 where that is not known. */
size_t board_stack_used(void);

/* The memory beside RAM that no section lies in, aligned to 64. */
unsigned char* board_memory(size_t* bytes);

#endif
