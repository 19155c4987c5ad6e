#include "sensor.h"

/* xorshift32, as a value in [0, 1). */
static float random_value(sensor* from) {
  from->random ^= from->random << 13;
  from->random ^= from->random >> 17;
  from->random ^= from->random << 5;
  return (float)(from->random >> 8) * 0x1p-24F;
}

/* The sine of so many turns, 0 or more, to 0.001: a parabola, and what it lacks. */
static float sine(float turns) {
  const float x = 2 * (turns - (float)(uint32_t)turns) - 1;
  const float parabola = 4 * x * ((x < 0 ? -x : x) - 1);
  const float size = parabola < 0 ? -parabola : parabola;
  return parabola * (0.775F + 0.225F * size);
}

void read_window(sensor* from, machine_state state, float* window) {
  const float speed = from->speed * (0.97F + 0.06F * random_value(from));
  const float size = 0.8F + 0.2F * random_value(from);
  const float knocks = 2.3F * speed; /* a bearing's rolling elements pass so often a turn */
  float turns = random_value(from);
  float passes = random_value(from);
  float since = 8 * passes; /* samples since the last knock */
  for (int i = 0; i < WINDOW; ++i, turns += speed, passes += knocks, since += 1) {
    float value = 0.5F * size * sine(turns) + from->second * sine(2 * turns + 0.2F);
    if (passes >= 1) {
      passes -= 1;
      since = 0;
    }
    if (state == BEARING && since < 6) value += 0.16F / (1 + since * since) * sine(0.37F * since + 0.25F);
    if (state == MISALIGNED) value += 0.08F * sine(3 * turns);
    if (state == LOOSE) value += 0.08F * sine(0.5F * turns);
    value += 0.06F * (random_value(from) + random_value(from) - 1);
    window[i] = from->gain * value;
  }
}
