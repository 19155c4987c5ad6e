/* Generates images on a Cortex-M: the model lies in flash, all memory is static. Each image goes out as a PGM file over
 * semihosting, samples/0.pgm, ...; a board of your own has another board.c. */
#include <figment/figment.h>

#include "board.h"
#include "gan.h"

enum { SIDE = 28, IMAGES = 4, SEED = 7 };

GAN_ARENA(arena);
static float pixels[GAN_SAMPLE_ELEMENTS];

static int fail(void) {
  board_print(fig_error_message());
  board_print("\n");
  return 1;
}

/* Values in [-1, 1] as grey levels. */
static int write_image(uint32_t number) {
  static unsigned char file[13 + SIDE * SIDE] = "P5\n28 28\n255\n";
  char path[] = "samples/0.pgm";
  path[8] = (char)('0' + number);
  for (uint32_t i = 0; i < SIDE * SIDE; ++i) file[13 + i] = (unsigned char)((pixels[i] + 1) * 127.5F + 0.5F);
  return board_write_file(path, file, sizeof file);
}

int main(void) {
  fig_model* model;
  fig_session* session;
  if (gan_open(arena, SEED, &model, &session) != FIG_OK) return fail();
  for (uint32_t i = 0; i < IMAGES; ++i) {
    const fig_generate_options options = {.struct_size = sizeof options, .first_index = i};
    const uint64_t start = board_clock();
    if (fig_generate(session, 1, &options, pixels, GAN_SAMPLE_ELEMENTS) != FIG_OK) return fail();
    const uint64_t instructions = board_clock() - start;
    if (!write_image(i)) {
      board_print("cannot write to the folder samples\n");
      return 1;
    }
    board_print("image ");
    board_print_number(i);
    board_print(": ");
    board_print_number(instructions);
    board_print(" instructions\n");
  }
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
