/* What the checks of bare-metal builds share: numbers as text, hashes, and the stack's depth. */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void print_hash(uint64_t hash);

uint64_t hash_start(void);
/* FNV-1a. */
uint64_t hash_bytes(uint64_t hash, const void* bytes, size_t size);

/* xorshift32; never 0. */
typedef struct random_state {
  uint32_t state;
} random_state;
uint32_t random_bits(random_state* random);
/* On [-1, 1). */
float random_real(random_state* random);

/* Fills the stack below with a pattern; how much of it has been written since. 0 where the stack cannot be seen. */
void paint_stack(void);
size_t painted_stack_used(void);

#ifdef __cplusplus
}
#endif

#endif
