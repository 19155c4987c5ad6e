/* Watches a series that comes over standard input, row by row: a VAE learns what its windows look like, and alarms say
 * where they look otherwise.
 *
 *   sensor | linux_anomaly MODEL STATE LEARN CALIBRATE STEPS
 *   sensor | linux_anomaly vibration.figment state 2000 1000 1500      the first time, or to learn on
 *   sensor | linux_anomaly vibration.figment state 0 0 0               afterwards
 *
 * A row is a line with a number for each of the model's features. MODEL is a VAE made for training, of samples [window]
 * or [window, features]. The first LEARN rows are learned in STEPS train steps, by the next CALIBRATE the threshold is
 * found; for each further row comes a line "row,score,alarm" with the score of the window that ends there. STATE is a
 * folder for what was learned, which LEARN = 0 begins with. */
#include <figment/figment.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kBatch = 16, kMaxFeatures = 64 };

/* What the program needs beside the parameters, kept in the checkpoint: what is learned is scaled to [-1, 1]. */
typedef struct State {
  float low[kMaxFeatures];
  float high[kMaxFeatures];
  float threshold;
} State;

typedef struct Watcher {
  fig_model* model;
  fig_session* session;
  const char* input; /* name of what a batch holds */
  size_t steps;      /* of a window */
  size_t features;
  float* window; /* the last rows */
  size_t rows;   /* that it holds */
  float* rebuilt;
  State state;
} Watcher;

static void fail(const char* what) {
  fprintf(stderr, "linux_anomaly: %s\n", what);
  exit(1);
}

static void check(fig_status status) {
  if (status != FIG_OK) fail(fig_error_message());
}

static float* allocate(size_t count) {
  float* memory = calloc(count, sizeof(float));
  if (memory == NULL) fail("out of memory");
  return memory;
}

static size_t count_of(const char* text) {
  char* end = NULL;
  const unsigned long long count = strtoull(text, &end, 10);
  if (end == text || *end != 0 || count > 100000000) fail("LEARN, CALIBRATE and STEPS are numbers");
  return (size_t)count;
}

/* The next line's numbers. False at the end. */
static bool read_row(float* row, size_t features) {
  static char line[4096];
  if (fgets(line, sizeof line, stdin) == NULL) return false;
  char* at = line;
  for (size_t i = 0; i < features; ++i) {
    char* end = NULL;
    row[i] = strtof(at, &end);
    if (end == at) fail("a line has fewer numbers than the model has features, or other text");
    at = end + strspn(end, ", \t;");
  }
  if (at[strspn(at, "\r\n")] != 0) fail("a line has more than the model's features");
  return true;
}

static float scaled(const State* state, size_t feature, float value) {
  const float range = state->high[feature] - state->low[feature];
  return range > 0 ? 2 * (value - state->low[feature]) / range - 1 : 0;
}

/* Moves the window by a row. False until it is full. */
static bool push(Watcher* watcher, const float* row) {
  const size_t features = watcher->features;
  if (watcher->rows == watcher->steps) {
    memmove(watcher->window, watcher->window + features, (watcher->steps - 1) * features * sizeof(float));
    --watcher->rows;
  }
  float* last = watcher->window + watcher->rows++ * features;
  for (size_t i = 0; i < features; ++i) last[i] = scaled(&watcher->state, i, row[i]);
  return watcher->rows == watcher->steps;
}

static float score(Watcher* watcher) {
  const size_t elements = watcher->steps * watcher->features;
  float result = 0;
  check(fig_anomaly_scores(watcher->session, 1, watcher->window, elements, watcher->rebuilt, elements, &result, 1));
  return result;
}

static void open_model(Watcher* watcher, const char* path) {
  fig_port_info port;
  check(fig_model_open(path, &watcher->model));
  if (fig_model_batch_input(watcher->model, 0, &port) != FIG_OK) fail("the model does not train: give a VAE that does");
  if (port.shape.rank != 2 && port.shape.rank != 3) fail("the model's samples are neither windows nor sequences");
  watcher->input = port.name;
  watcher->steps = port.shape.extents[1];
  watcher->features = port.shape.rank == 3 ? port.shape.extents[2] : 1;
  if (watcher->features > kMaxFeatures) fail("the model has too many features");
  const fig_session_options options = {
      .struct_size = sizeof options, .program = "encode,generate", .batch = kBatch, .training = true};
  check(fig_session_create(watcher->model, &options, &watcher->session));
  watcher->window = allocate(watcher->steps * watcher->features);
  watcher->rebuilt = allocate(watcher->steps * watcher->features);
}

/* Reads `count` rows, finds their range, and trains on windows of them. */
static void learn(Watcher* watcher, size_t count, size_t steps) {
  const size_t features = watcher->features;
  const size_t window = watcher->steps * features;
  if (count < watcher->steps) fail("LEARN is less than a window");
  float* rows = allocate(count * features);
  for (size_t i = 0; i < count; ++i) {
    if (!read_row(rows + i * features, features)) fail("the series ends before all is learned");
  }
  for (size_t f = 0; f < features; ++f) {
    watcher->state.low[f] = watcher->state.high[f] = rows[f];
    for (size_t i = 1; i < count; ++i) {
      const float value = rows[i * features + f];
      if (value < watcher->state.low[f]) watcher->state.low[f] = value;
      if (value > watcher->state.high[f]) watcher->state.high[f] = value;
    }
  }
  for (size_t i = 0; i < count * features; ++i) rows[i] = scaled(&watcher->state, i % features, rows[i]);
  float* samples = allocate(kBatch * window);
  const fig_tensor input = {watcher->input, samples, kBatch * window, FIG_F32};
  const fig_batch batch = {sizeof batch, kBatch, &input, 1, NULL, 0};
  unsigned long long random = 1;
  for (size_t step = 0; step < steps; ++step) {
    for (size_t i = 0; i < kBatch; ++i) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;
      const size_t first = (size_t)((random >> 33) % (count - watcher->steps + 1));
      memcpy(samples + i * window, rows + first * features, window * sizeof(float));
    }
    fig_metrics metrics;
    check(fig_train_step(watcher->session, &batch, &metrics));
  }
  free(samples);
  free(rows);
}

/* The threshold that 99 % of the scores of `count` more rows do not exceed. */
static void calibrate(Watcher* watcher, size_t count) {
  float* scores = allocate(count);
  float row[kMaxFeatures];
  size_t found = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!read_row(row, watcher->features)) fail("the series ends before the threshold is found");
    if (push(watcher, row)) scores[found++] = score(watcher);
  }
  check(fig_anomaly_threshold(scores, found, 0.99, &watcher->state.threshold));
  free(scores);
}

static void watch(Watcher* watcher, size_t row_number) {
  fig_anomaly_vote vote = {sizeof vote, watcher->state.threshold, 3, 5, 0};
  float row[kMaxFeatures];
  printf("row,score,alarm\n");
  for (; read_row(row, watcher->features); ++row_number) {
    if (!push(watcher, row)) continue;
    const float found = score(watcher);
    bool alarm = false;
    check(fig_anomaly_alarm(&vote, found, &alarm));
    printf("%zu,%.6g,%d\n", row_number, (double)found, alarm);
    fflush(stdout);
  }
}

int main(int argc, char** argv) {
  Watcher watcher = {0};
  if (argc != 6) {
    fprintf(stderr, "usage: linux_anomaly MODEL STATE LEARN CALIBRATE STEPS\n");
    return 2;
  }
  const size_t learned = count_of(argv[3]);
  const size_t calibrated = count_of(argv[4]);
  open_model(&watcher, argv[1]);
  const fig_status found = fig_checkpoint_load(watcher.session, argv[2], &watcher.state, sizeof watcher.state, NULL);
  if (found != FIG_OK && (found != FIG_NOT_FOUND || learned == 0)) fail(fig_error_message());
  if (learned > 0) learn(&watcher, learned, count_of(argv[5]));
  if (learned > 0 && calibrated == 0) fail("CALIBRATE must not be 0 where something is learned");
  if (calibrated > 0) calibrate(&watcher, calibrated);
  if (learned > 0 || calibrated > 0)
    check(fig_checkpoint_save(watcher.session, argv[2], &watcher.state, sizeof watcher.state));
  watch(&watcher, learned + calibrated);
  free(watcher.rebuilt);
  free(watcher.window);
  fig_session_destroy(watcher.session);
  fig_model_close(watcher.model);
  return 0;
}
