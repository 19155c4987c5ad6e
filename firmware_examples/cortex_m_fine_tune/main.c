/* Adversarial training on a Cortex-M in 256 KB of RAM, all included: a GAN that knows clothes learns boots from 64
 * pictures. The model and the pictures lie in flash, all memory is static; what is learned goes into two parts of
 * flash, of which one is whole at any moment.
 *
 *   cortex_m_fine_tune [STEPS]
 *
 * Over semihosting come pictures from the same latents before and after, before.pgm and after.pgm, and the checkpoint
 * for figment-convert --checkpoint on a larger machine, learned/a.checkpoint; a board of your own has another board.c.
 */
#include <figment/figment.h>
#include <string.h>

#include "board.h"
#include "board_flash.h"
#include "boots.h"
#include "clothes.h"

enum { SEED = 7, DEFAULT_STEPS = 300, STEPS_A_LINE = 20, STEPS_A_CHECKPOINT = 100 };

static const double kLearningRate = 2e-3;

CLOTHES_ARENA(arena);
/* A batch of pictures as floats, and afterwards as bytes of a file. */
static union {
  float pixels[CLOTHES_BATCH * PIXELS];
  unsigned char bytes[CLOTHES_BATCH * PIXELS * sizeof(float)];
} batch;

_Noreturn static void die(const char* what) {
  board_print(what);
  board_print("\n");
  board_exit(1);
}

static void check(fig_status status) {
  if (status != FIG_OK) die(fig_error_message());
}

/* The batch's samples in [-1, 1] as grey levels, one below the other. */
static void write_pictures(fig_session* session, const char* path) {
  static const char header[] = "P5\n28 224\n255\n";
  _Static_assert(CLOTHES_BATCH == 8, "the header's height");
  check(fig_generate(session, CLOTHES_BATCH, NULL, batch.pixels, CLOTHES_BATCH * PIXELS));
  for (size_t i = 0; i < CLOTHES_BATCH * PIXELS; ++i)
    batch.bytes[i] = (unsigned char)((batch.pixels[i] + 1) * 127.5F + 0.5F);
  memmove(batch.bytes + sizeof header - 1, batch.bytes, CLOTHES_BATCH * PIXELS);
  memcpy(batch.bytes, header, sizeof header - 1);
  if (!board_write_file(path, batch.bytes, sizeof header - 1 + CLOTHES_BATCH * PIXELS)) die("cannot write pictures");
}

/* Pictures for a step, drawn from its number, so that a resumed run goes on like one that never stopped. */
static void fill_batch(uint64_t step) {
  uint32_t bits = (uint32_t)step * 2654435761U + SEED;
  for (size_t i = 0; i < CLOTHES_BATCH; ++i) {
    bits = bits * 1664525U + 1013904223U;
    const unsigned char* const boot = boots[bits >> 16 & (BOOTS - 1)];
    for (size_t j = 0; j < PIXELS; ++j) batch.pixels[i * PIXELS + j] = (float)boot[j] / 127.5F - 1;
  }
}

static void print_value(const fig_metric* metric) {
  board_print("  ");
  board_print(metric->name);
  board_print(metric->value < 0 ? " -" : " ");
  const float size = metric->value < 0 ? -metric->value : metric->value;
  if (!(size < 1e9F)) {
    board_print("too large, or no number");
    return;
  }
  board_print_number((uint64_t)size);
  const unsigned thousandths = (unsigned)((size - (float)(unsigned)size) * 1000);
  board_print(thousandths < 10 ? ".00" : thousandths < 100 ? ".0" : ".");
  board_print_number(thousandths);
}

static void train(fig_session* session, uint64_t steps, const fig_flash* flash) {
  static fig_metrics metrics;
  const fig_tensor input = {"sample", batch.pixels, CLOTHES_BATCH * PIXELS, FIG_F32};
  const fig_batch given = {sizeof given, CLOTHES_BATCH, &input, 1, NULL, 0};
  while (fig_session_steps(session) < steps) {
    fill_batch(fig_session_steps(session));
    const uint64_t start = board_clock();
    check(fig_train_step(session, &given, &metrics));
    if (metrics.step % STEPS_A_LINE == 0 || metrics.step == steps) {
      board_print("step ");
      board_print_number(metrics.step);
      for (uint32_t i = 0; i < metrics.count; ++i) print_value(&metrics.values[i]);
      board_print("  ");
      board_print_number((board_clock() - start) / 1000000);
      board_print(" M instructions\n");
    }
    if (metrics.step % STEPS_A_CHECKPOINT == 0 || metrics.step == steps)
      check(fig_checkpoint_save_flash(session, flash, NULL, 0));
  }
}

/* Both slots as the files of a checkpoint's folder: who reads it takes the newer that is whole. */
static void write_checkpoints(const fig_session* session) {
  static const char* const kPaths[FLASH_SLOTS] = {"learned/a.checkpoint", "learned/b.checkpoint"};
  size_t bytes = 0;
  check(fig_checkpoint_size(session, 0, &bytes));
  for (uint32_t slot = 0; slot < FLASH_SLOTS; ++slot) {
    if (!board_write_file(kPaths[slot], board_flash_slot(slot), bytes)) die("cannot write to the folder learned");
  }
}

int main(void) {
  static char line[256];
  uint64_t steps = DEFAULT_STEPS;
  const char* argument = board_command_line(line, sizeof line) ? strchr(line, ' ') : NULL;
  if (argument != NULL) {
    for (steps = 0; *++argument >= '0' && *argument <= '9';) steps = steps * 10 + (uint64_t)(*argument - '0');
    if (*argument != 0 || steps == 0) die("usage: cortex_m_fine_tune [STEPS]");
  }
  fig_model* model;
  fig_session* session;
  check(clothes_open(arena, SEED, &model, &session));
  check(fig_session_set_scalar(session, "g.learning_rate", kLearningRate));
  check(fig_session_set_scalar(session, "d.learning_rate", kLearningRate));
  const fig_flash flash = board_flash();
  const fig_status found = fig_checkpoint_load_flash(session, &flash, NULL, 0, NULL);
  /* Of a first checkpoint in whose middle the power went nothing is left: training begins anew. */
  if (found != FIG_NOT_FOUND && found != FIG_BAD_FILE) check(found);
  write_pictures(session, "before.pgm");
  train(session, steps, &flash);
  write_pictures(session, "after.pgm");
  write_checkpoints(session);
  board_print("stack: ");
  board_print_number(board_stack_used());
  board_print(" bytes\n");
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
