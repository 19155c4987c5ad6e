/* Flash in memory that fails like flash: a power cut in the middle of any erasure or programming, after which some
 * flash can not be read there, and worn-out bytes. */
#ifndef SIMULATED_FLASH_H
#define SIMULATED_FLASH_H

#include <figment/figment.h>

#include "check.h"

enum { FLASH_SLOTS = 2 };

typedef struct simulated_flash {
  unsigned char* slots[FLASH_SLOTS];
  size_t slot_bytes;
  size_t unit;
  long operations; /* erasures and programmings since the start */
  long cut;        /* the operation in whose middle the power goes, -1: none */
  int off;         /* nothing is done any more */
  int checked;     /* has codes that find errors: what a cut leaves half-done cannot be read */
  uint32_t torn_slot;
  size_t torn_begin;
  size_t torn_end;
  int misused;         /* programmed what was not erased, or beside its units */
  size_t worn;         /* this byte of slot 1 keeps 0, SIZE_MAX: none */
  random_state random; /* of what a cut leaves behind */
} simulated_flash;

/* Two slots in `memory`, of 2 * slot_bytes, erased. */
void flash_init(simulated_flash* flash, unsigned char* memory, size_t slot_bytes, size_t unit);
fig_flash flash_driver(simulated_flash* flash);

#endif
