/* Two parts of flash for checkpoints. QEMU's boards have no flash: these lie in memory beside the code, and go with the
 * emulator; on a board of your own, replace board_flash.c by calls of your flash controller. */
#ifndef BOARD_FLASH_H
#define BOARD_FLASH_H

#include <figment/figment.h>

enum { FLASH_SLOTS = 2, FLASH_SLOT_BYTES = 64 * 1024, FLASH_PROGRAM_BYTES = 32 };

fig_flash board_flash(void);

/* The contents of a slot, to read where they lie. */
const unsigned char* board_flash_slot(uint32_t slot);

#endif
