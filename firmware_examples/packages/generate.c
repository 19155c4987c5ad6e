/* Draws clothes as text from a model that lies in flash. */
#include <figment/figment.h>
#include <stdio.h>

#include "gan.h"

enum { SIDE = 28, SEED = 7, IMAGES = 4 };

GAN_ARENA(arena);
static float pixels[GAN_SAMPLE_ELEMENTS];

static int generate(void) {
  fig_model* model;
  fig_session* session;
  if (gan_open(arena, SEED, &model, &session) != FIG_OK) return printf("%s\n", fig_error_message()), 1;
  for (int i = 0; i < IMAGES; ++i) {
    const fig_generate_options options = {.struct_size = sizeof options, .first_index = (uint64_t)i};
    if (fig_generate(session, 1, &options, pixels, GAN_SAMPLE_ELEMENTS) != FIG_OK)
      return printf("%s\n", fig_error_message()), 1;
    for (int y = 0; y < SIDE; ++y) {
      char line[SIDE + 1] = "";
      for (int x = 0; x < SIDE; ++x) {
        const float pixel = pixels[y * SIDE + x];
        line[x] = " .:*#"[pixel > -1 ? pixel < 1 ? (int)((pixel + 1) * 2.4F) : 4 : 0];
      }
      printf("%s\n", line);
    }
  }
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
