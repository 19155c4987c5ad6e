// Draws clothes as text, one a second, from a model that lies in flash.
#include <figment/figment.h>

#include "gan.h"

enum { SIDE = 28, SEED = 7 };

GAN_ARENA(arena);
static float pixels[GAN_SAMPLE_ELEMENTS];
static fig_model* model;
static fig_session* session;
static uint64_t drawn;

static bool failed(fig_status status) {
  if (status != FIG_OK) Serial.println(fig_error_message());
  return status != FIG_OK;
}

void setup() {
  Serial.begin(115200);
  failed(gan_open(arena, SEED, &model, &session));
}

void loop() {
  fig_generate_options options = {};
  options.struct_size = sizeof options;
  options.first_index = drawn++;
  if (session == NULL || failed(fig_generate(session, 1, &options, pixels, GAN_SAMPLE_ELEMENTS))) return;
  for (int y = 0; y < SIDE; ++y) {
    char line[SIDE + 1] = "";
    for (int x = 0; x < SIDE; ++x) {
      const float pixel = pixels[y * SIDE + x];
      line[x] = " .:*#"[pixel > -1 ? pixel < 1 ? (int)((pixel + 1) * 2.4F) : 4 : 0];
    }
    Serial.println(line);
  }
  delay(1000);
}
