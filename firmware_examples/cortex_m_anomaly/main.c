/* Learns on a Cortex-M what is normal, in 64 KB of RAM, all included: a VAE sees windows of a healthy machine's
 * vibration and learns to rebuild them; what it rebuilds badly is unusual. Then the machine is run at another speed,
 * nothing is usual any more, and the device learns on.
 *
 * Over semihosting come a table, and scores as learned.csv, drifted.csv and learned_on.csv; a board of your own has
 * another board.c and another sensor.c. */
#include <figment/figment.h>

#include "board.h"
#include "sensor.h"
#include "vibration.h"

enum { SEED = 3, LEARNING = 2500, KNOWN = 200, TESTED = 100 };

VIBRATION_ARENA(arena);
/* A batch of windows and of what the model makes of them, and afterwards the text of a file. */
static union {
  struct {
    float windows[VIBRATION_BATCH * WINDOW];
    float rebuilt[VIBRATION_BATCH * WINDOW];
  };
  char text[2 * VIBRATION_BATCH * WINDOW * sizeof(float)];
} batch;

_Noreturn static void die(const char* what) {
  board_print(what);
  board_print("\n");
  board_exit(1);
}

static void check(fig_status status) {
  if (status != FIG_OK) die(fig_error_message());
}

/* Train steps on healthy windows. */
static void learn(fig_session* session, sensor* from) {
  static fig_metrics metrics;
  const fig_tensor input = {"sample", batch.windows, VIBRATION_BATCH * WINDOW, FIG_F32};
  const fig_batch given = {sizeof given, VIBRATION_BATCH, &input, 1, NULL, 0};
  for (int i = 0; i < LEARNING; ++i) {
    for (int j = 0; j < VIBRATION_BATCH; ++j) read_window(from, HEALTHY, batch.windows + j * WINDOW);
    check(fig_train_step(session, &given, &metrics));
  }
}

/* Scores of `count` windows, the state of each by `states`, in turn. */
static void score(fig_session* session, sensor* from, const machine_state* states, int state_count, int count,
                  float* scores) {
  for (int done = 0; done < count; done += VIBRATION_BATCH) {
    const int part = count - done < VIBRATION_BATCH ? count - done : VIBRATION_BATCH;
    for (int j = 0; j < part; ++j) read_window(from, states[(done + j) % state_count], batch.windows + j * WINDOW);
    const size_t elements = (size_t)part * WINDOW;
    check(fig_anomaly_scores(session, (size_t)part, batch.windows, elements, batch.rebuilt, elements, scores + done,
                             (size_t)part));
  }
}

/* How often a faulty window scores above a healthy one, in percent. */
static uint32_t area(const float* healthy, const float* faulty, int count) {
  uint32_t above = 0;
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < count; ++j) above += faulty[i] > healthy[j];
  }
  return above * 100 / (uint32_t)(count * count);
}

static void print_percent(const char* before, uint32_t percent) {
  board_print(before);
  board_print_number(percent);
  board_print(" %");
}

/* A score in millionths. */
static char* write_score(char* at, float score, char end) {
  char digits[10];
  int count = 0;
  uint32_t number = score < 4000 ? (uint32_t)(score * 1e6F) : 4000000000U;
  do digits[count++] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  while (count > 0) *at++ = digits[--count];
  *at++ = end;
  return at;
}

static void write_scores(const char* path, const float* healthy, const float* faulty) {
  char* at = batch.text;
  for (int i = 0; i < TESTED && at + 22 < batch.text + sizeof batch.text; ++i) {
    at = write_score(at, healthy[i], ',');
    at = write_score(at, faulty[i], '\n');
  }
  if (!board_write_file(path, batch.text, (size_t)(at - batch.text))) die("cannot write scores");
}

static uint32_t alarms(const float* scores, int count, float threshold) {
  fig_anomaly_vote vote = {sizeof vote, threshold, 2, 3, 0};
  uint32_t sum = 0;
  for (int i = 0; i < count; ++i) {
    bool alarm = false;
    check(fig_anomaly_alarm(&vote, scores[i], &alarm));
    sum += alarm;
  }
  return sum;
}

static void test(fig_session* session, sensor* from, float threshold, const char* when, const char* path) {
  static const machine_state kHealthy[] = {HEALTHY};
  static const machine_state kFaults[] = {BEARING, MISALIGNED, LOOSE};
  static float healthy[TESTED];
  static float faulty[TESTED];
  score(session, from, kHealthy, 1, TESTED, healthy);
  score(session, from, kFaults, FAULTS, TESTED, faulty);
  board_print(when);
  print_percent(": area under ROC ", area(healthy, faulty, TESTED));
  print_percent(", alarms on healthy windows ", alarms(healthy, TESTED, threshold) * 100 / TESTED);
  print_percent(", on faulty ones ", alarms(faulty, TESTED, threshold) * 100 / TESTED);
  board_print("\n");
  write_scores(path, healthy, faulty);
}

/* What 95 % of healthy windows do not exceed. */
static float calibrate(fig_session* session, sensor* from) {
  static const machine_state kHealthy[] = {HEALTHY};
  static float scores[KNOWN];
  float threshold = 0;
  score(session, from, kHealthy, 1, KNOWN, scores);
  check(fig_anomaly_threshold(scores, KNOWN, 0.95, &threshold));
  return threshold;
}

int main(void) {
  fig_model* model;
  fig_session* session;
  sensor vibration = {.random = SEED, .speed = 0.07F, .gain = 1, .second = 0.15F};
  check(vibration_open(arena, SEED, &model, &session));
  const uint64_t start = board_clock();
  learn(session, &vibration);
  const uint64_t learned = board_clock();
  float threshold = calibrate(session, &vibration);
  test(session, &vibration, threshold, "learned", "learned.csv");
  /* The machine is run faster, and the sensor has become dull. */
  vibration.speed = 0.1F;
  vibration.gain = 0.8F;
  vibration.second = 0.25F;
  test(session, &vibration, threshold, "drifted", "drifted.csv");
  learn(session, &vibration);
  threshold = calibrate(session, &vibration);
  test(session, &vibration, threshold, "learned on", "learned_on.csv");
  board_print("a step: ");
  board_print_number((learned - start) / LEARNING);
  board_print(" instructions; stack: ");
  board_print_number(board_stack_used());
  board_print(" bytes\n");
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
