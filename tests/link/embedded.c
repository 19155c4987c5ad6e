/* Firmware of what figment-convert --embed-c wrote opens its model with the kernels and the plan of that alone, and
 * trains a step where it trains. */
#include EMBEDDED_HEADER

#include <stdio.h>
#include <stdlib.h>

#define OPEN2(name) name##_open
#define OPEN(name) OPEN2(name)

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, fig_error_message());
  return 1;
}

#ifdef TRAINS
static fig_status step(fig_model* model, fig_session* session) {
  static float values[65536];
  fig_tensor inputs[8];
  size_t count = 0;
  fig_port_info port;
  for (uint32_t i = 0; i < 8 && fig_model_batch_input(model, i, &port) == FIG_OK; ++i) {
    size_t elements = 1;
    for (uint32_t d = 0; d < port.shape.rank; ++d)
      elements *= port.shape.per_batch[d] ? port.shape.extents[d] * MODEL_BATCH : port.shape.extents[d];
    inputs[count++] = (fig_tensor){port.name, values, elements, FIG_F32};
  }
  const fig_batch batch = {sizeof batch, MODEL_BATCH, inputs, count, NULL, 0};
  fig_metrics metrics;
  return fig_train_step(session, &batch, &metrics);
}
#endif

int main(void) {
  MODEL_ARENA(arena);
  fig_model* model = NULL;
  fig_session* session = NULL;
  if (OPEN(model)(arena, 1, &model, &session) != FIG_OK) return fail("open");
#ifdef TRAINS
  if (step(model, session) != FIG_OK) return fail("train");
#endif
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
