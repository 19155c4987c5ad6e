#include "simulated_flash.h"

#include <string.h>

enum { ERASED = 0xFF };

void flash_init(simulated_flash* flash, unsigned char* memory, size_t slot_bytes, size_t unit) {
  memset(flash, 0, sizeof *flash);
  memset(memory, ERASED, FLASH_SLOTS * slot_bytes);
  for (size_t i = 0; i < FLASH_SLOTS; ++i) flash->slots[i] = memory + i * slot_bytes;
  flash->slot_bytes = slot_bytes;
  flash->unit = unit;
  flash->cut = -1;
  flash->worn = SIZE_MAX;
  flash->random.state = 1;
}

/* Whether the power goes during this operation. */
static int cut_now(simulated_flash* flash) {
  if (flash->operations++ != flash->cut) return 0;
  flash->off = 1;
  return 1;
}

static bool read_slot(void* context, uint32_t slot, size_t offset, void* bytes, size_t size) {
  const simulated_flash* const flash = context;
  if (flash->off || offset + size > flash->slot_bytes) return false;
  if (slot == flash->torn_slot && offset < flash->torn_end && offset + size > flash->torn_begin) return false;
  memcpy(bytes, flash->slots[slot] + offset, size);
  if (slot == 1 && flash->worn - offset < size) ((unsigned char*)bytes)[flash->worn - offset] = 0;
  return true;
}

/* What is torn from now on; nothing, if the flash has no codes. */
static void tear(simulated_flash* flash, uint32_t slot, size_t begin, size_t end) {
  if (!flash->checked) return;
  flash->torn_slot = slot;
  flash->torn_begin = begin;
  flash->torn_end = end;
}

static bool erase_slot(void* context, uint32_t slot) {
  simulated_flash* const flash = context;
  if (flash->off) return false;
  const int cut = cut_now(flash);
  if (slot == flash->torn_slot || cut) tear(flash, slot, 0, cut ? flash->slot_bytes : 0);
  for (size_t i = 0; i < flash->slot_bytes; ++i) {
    /* Erasing sets bits; half-erased, any of them may be set. */
    const unsigned char bits = cut ? (unsigned char)random_bits(&flash->random) : ERASED;
    flash->slots[slot][i] |= bits;
  }
  return !cut;
}

static bool program_slot(void* context, uint32_t slot, size_t offset, const void* bytes, size_t size) {
  simulated_flash* const flash = context;
  if (flash->off) return false;
  if (offset % flash->unit != 0 || size % flash->unit != 0 || size == 0 || offset + size > flash->slot_bytes) {
    flash->misused = 1;
    return false;
  }
  const int cut = cut_now(flash);
  if (cut) tear(flash, slot, offset, offset + size);
  const size_t whole = cut ? random_bits(&flash->random) % size : size;
  for (size_t i = 0; i < size; ++i) {
    unsigned char* const at = flash->slots[slot] + offset + i;
    if (*at != ERASED) flash->misused = 1;
    /* Programming clears bits. */
    unsigned char value = ((const unsigned char*)bytes)[i];
    if (i == whole) value |= (unsigned char)random_bits(&flash->random);
    if (i <= whole) *at &= value;
  }
  return !cut;
}

fig_flash flash_driver(simulated_flash* flash) {
  return (fig_flash){.struct_size = sizeof(fig_flash),
                     .context = flash,
                     .slot_bytes = flash->slot_bytes,
                     .program_bytes = flash->unit,
                     .read = read_slot,
                     .erase = erase_slot,
                     .program = program_slot};
}
