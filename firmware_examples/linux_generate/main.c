/* Opens a model, draws one image and writes it as a PGM picture:  linux_generate MODEL SEED OUTPUT.pgm */
#include <figment/figment.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  static float pixels[28 * 28];
  fig_model* model = NULL;
  fig_session* session = NULL;
  fig_session_options options = {.struct_size = sizeof options};
  if (argc != 4) return fprintf(stderr, "usage: linux_generate MODEL SEED OUTPUT.pgm\n"), 2;
  options.seed = strtoull(argv[2], NULL, 10);
  if (fig_model_open(argv[1], &model) != FIG_OK || fig_session_create(model, &options, &session) != FIG_OK ||
      fig_generate(session, 1, NULL, pixels, 28 * 28) != FIG_OK) {
    return fprintf(stderr, "linux_generate: %s\n", fig_error_message()), 1;
  }
  FILE* file = fopen(argv[3], "wb");
  if (file == NULL) return perror(argv[3]), 1;
  fprintf(file, "P5\n28 28\n255\n");
  for (int i = 0; i < 28 * 28; ++i) fputc((int)((pixels[i] + 1) * 127.5f + 0.5f), file);
  if (fclose(file) != 0) return perror(argv[3]), 1;
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
