/* Generates one sample with the portable kernels and prints a hash of its bits:  link_all MODEL
 * FEW_OPS: linked with the three ops of a dense generator. NO_PLANNER: and without the planner. */
#include <figment/figment.h>
#include <figment/ops.h>
#include <stdio.h>
#include <string.h>

#ifdef FEW_OPS
const fig_op* const fig_ops[] = {&fig_op_fully_connected, &fig_op_tanh, &fig_op_reshape, NULL};
#endif
#ifdef NO_PLANNER
const fig_planner* const fig_use_planner = NULL;
#endif

int main(int argc, char** argv) {
  static float sample[28 * 28];
  fig_model* model = NULL;
  fig_session* session = NULL;
  fig_session_options options = {.struct_size = sizeof options, .seed = 7, .kernels = FIG_KERNELS_PORTABLE};
  if (argc != 2) return 2;
  if (fig_model_open(argv[1], &model) != FIG_OK || fig_session_create(model, &options, &session) != FIG_OK ||
      fig_generate(session, 1, NULL, sample, sizeof sample / sizeof sample[0]) != FIG_OK) {
    return fprintf(stderr, "%s\n", fig_error_message()), 1;
  }
  unsigned long long hash = 0xCBF29CE484222325;
  for (size_t i = 0; i < sizeof sample; ++i) hash = (hash ^ ((unsigned char*)sample)[i]) * 0x100000001B3;
  printf("%016llx\n", hash);
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
