#include "board_flash.h"

#include <string.h>

enum { ERASED = 0xFF };

/* The linker scripts put it beside the code, not into RAM. */
__attribute__((section(".flash"), aligned(64))) static unsigned char flash[FLASH_SLOTS][FLASH_SLOT_BYTES];

static bool inside(uint32_t slot, size_t offset, size_t size) {
  return slot < FLASH_SLOTS && offset <= FLASH_SLOT_BYTES && size <= FLASH_SLOT_BYTES - offset;
}

static bool read_flash(void* context, uint32_t slot, size_t offset, void* bytes, size_t size) {
  (void)context;
  if (!inside(slot, offset, size)) return false;
  memcpy(bytes, flash[slot] + offset, size);
  return true;
}

static bool erase_flash(void* context, uint32_t slot) {
  (void)context;
  if (slot >= FLASH_SLOTS) return false;
  memset(flash[slot], ERASED, FLASH_SLOT_BYTES);
  return true;
}

static bool program_flash(void* context, uint32_t slot, size_t offset, const void* bytes, size_t size) {
  (void)context;
  if (!inside(slot, offset, size)) return false;
  /* As flash does, it clears bits and sets none. */
  for (size_t i = 0; i < size; ++i) flash[slot][offset + i] &= ((const unsigned char*)bytes)[i];
  return true;
}

fig_flash board_flash(void) {
  return (fig_flash){.struct_size = sizeof(fig_flash),
                     .slot_bytes = FLASH_SLOT_BYTES,
                     .program_bytes = FLASH_PROGRAM_BYTES,
                     .read = read_flash,
                     .erase = erase_flash,
                     .program = program_flash};
}

const unsigned char* board_flash_slot(uint32_t slot) { return flash[slot]; }
