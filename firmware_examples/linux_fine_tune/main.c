/* Teaches a trained image model new classes from a few samples, within a limit of memory, without the data that it was
 * trained on:
 *
 *   linux_fine_tune MODEL IMAGES LABELS NEW-CLASSES PER-CLASS STEPS BATCH MEMORY-MB OUTPUT
 *   linux_fine_tune clothes.figment train-images-idx3-ubyte train-labels-idx1-ubyte 89 100 500 32 24 tuned.figment
 *
 * So that the classes it knows do not fade, each batch holds samples of them that the model made before it was changed
 * (generative replay: Shin et al., "Continual Learning with Deep Generative Replay", 2017). IMAGES and LABELS are IDX
 * files, of which the first PER-CLASS images of each new class are read; NEW-CLASSES is a digit for each. A model with
 * an input "label" is told the classes of both.
 */
#include <figment/figment.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kPixels = 28 * 28, kClasses = 10, kImageHeader = 16, kLabelHeader = 8 };

/* Samples and their classes: `count` of each. */
typedef struct {
  float* images;
  float* labels; /* one 1 among zeros */
  int count;
} Samples;

static Samples make_room(int count) {
  Samples samples = {calloc((size_t)count * kPixels, sizeof(float)), calloc((size_t)count * kClasses, sizeof(float)),
                     count};
  if (samples.images == NULL || samples.labels == NULL) {
    fprintf(stderr, "linux_fine_tune: out of memory\n");
    exit(1);
  }
  return samples;
}

static void check(fig_status status) {
  if (status == FIG_OK) return;
  fprintf(stderr, "linux_fine_tune: %s\n", fig_error_message());
  exit(1);
}

/* The first `per_class` images of each class in `classes`. */
static Samples read_samples(const char* images_path, const char* labels_path, const char* classes, int per_class,
                            fig_output_info range) {
  const int wanted = (int)strlen(classes) * per_class;
  Samples samples = make_room(wanted);
  FILE* images = fopen(images_path, "rb");
  FILE* labels = fopen(labels_path, "rb");
  if (images == NULL || labels == NULL) {
    perror(images == NULL ? images_path : labels_path);
    exit(1);
  }
  int found[kClasses] = {0};
  int count = 0;
  unsigned char pixels[kPixels];
  bool good = fseek(images, kImageHeader, SEEK_SET) == 0 && fseek(labels, kLabelHeader, SEEK_SET) == 0;
  while (good && count < wanted) {
    const int label = fgetc(labels);
    good = label >= 0 && label < kClasses && fread(pixels, 1, kPixels, images) == kPixels;
    if (!good || strchr(classes, '0' + label) == NULL || found[label] == per_class) continue;
    ++found[label];
    for (int i = 0; i < kPixels; ++i)
      samples.images[count * kPixels + i] = range.range_min + (range.range_max - range.range_min) * pixels[i] / 255.0f;
    samples.labels[count * kClasses + label] = 1;
    ++count;
  }
  fclose(images);
  fclose(labels);
  if (count < wanted) {
    fprintf(stderr, "linux_fine_tune: %s and %s hold no %d images of each class of %s\n", images_path, labels_path,
            per_class, classes);
    exit(1);
  }
  return samples;
}

/* Whether the model generates under the condition "label". */
static bool has_label(const fig_model* model, const char* program_name) {
  fig_program_info program;
  fig_port_info port;
  for (uint32_t p = 0; fig_model_program(model, p, &program) == FIG_OK; ++p) {
    if (strcmp(program.name, program_name) != 0) continue;
    for (uint32_t i = 0; fig_model_input(model, p, i, &port) == FIG_OK; ++i) {
      if (strcmp(port.name, "label") == 0) return true;
    }
  }
  return false;
}

static void copy_sample(const Samples* from, int i, Samples* to, int j) {
  memcpy(to->images + j * kPixels, from->images + i * kPixels, kPixels * sizeof(float));
  memcpy(to->labels + j * kClasses, from->labels + i * kClasses, kClasses * sizeof(float));
}

int main(int argc, char** argv) {
  if (argc != 10) {
    return fprintf(stderr,
                   "usage: linux_fine_tune MODEL IMAGES LABELS NEW-CLASSES PER-CLASS STEPS BATCH MEMORY-MB OUTPUT\n"),
           2;
  }
  const char* classes = argv[4];
  const int per_class = atoi(argv[5]);
  const int steps = atoi(argv[6]);
  const int batch = atoi(argv[7]);
  if (strspn(classes, "0123456789") != strlen(classes) || strlen(classes) == 0 || strlen(classes) >= kClasses ||
      per_class < 1 || steps < 1 || batch < 2) {
    return fprintf(stderr, "linux_fine_tune: new classes are some of the digits 0 to 9; counts are positive\n"), 2;
  }
  fig_model* model = NULL;
  fig_session* session = NULL;
  fig_output_info output;
  fig_session_options options = {.struct_size = sizeof options};
  options.training = true;
  options.batch = (uint32_t)batch;
  options.memory_limit = strtoull(argv[8], NULL, 10) << 20;
  options.seed = 1;
  check(fig_model_open(argv[1], &model));
  check(fig_model_generated(model, &output));
  check(fig_session_create(model, &options, &session));
  fig_memory_report memory;
  check(fig_session_memory_used(session, &memory));
  const bool conditional = has_label(model, output.program);
  const Samples fresh = read_samples(argv[2], argv[3], classes, per_class, output);

  /* What is known, as the model makes it now: as many samples of each known class as there are of a new one. */
  Samples known = make_room((kClasses - (int)strlen(classes)) * per_class);
  for (int i = 0, label = -1; i < known.count; ++i) {
    do label = (label + 1) % kClasses;
    while (strchr(classes, '0' + label) != NULL);
    known.labels[i * kClasses + label] = 1;
  }
  const fig_tensor condition = {"label", known.labels, (size_t)known.count * kClasses};
  fig_generate_options generate = {.struct_size = sizeof generate};
  generate.inputs = conditional ? &condition : NULL;
  generate.input_count = conditional ? 1 : 0;
  check(fig_generate(session, (size_t)known.count, &generate, known.images, (size_t)known.count * kPixels));

  /* A short run: the average of the generator's parameters, which generates, must follow sooner. */
  double decay = 0;
  if (fig_session_get_number(session, "g.ema_decay", &decay) == FIG_OK)
    check(fig_session_set_number(session, "g.ema_decay", 0.99));

  Samples mixed = make_room(batch);
  fig_port_info sample;
  fig_program_info program;
  const char* input = NULL;
  for (uint32_t p = 0; input == NULL && fig_model_program(model, p, &program) == FIG_OK; ++p) {
    for (uint32_t i = 0; program.trains && fig_model_input(model, p, i, &sample) == FIG_OK; ++i) {
      if (sample.shape.rank == 4) input = sample.name;
    }
  }
  if (input == NULL) return fprintf(stderr, "linux_fine_tune: the model does not train on images\n"), 1;
  const fig_tensor tensors[] = {{input, mixed.images, (size_t)batch * kPixels},
                                {"label", mixed.labels, (size_t)batch * kClasses}};
  const fig_batch given = {sizeof given, (size_t)batch, tensors, conditional ? 2 : 1, NULL, 0};
  fig_metrics metrics = {0};
  srand(1);
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < batch; ++i) {
      /* Classes in the proportion of their number, as in a whole data set. */
      const bool is_new = rand() % kClasses < (int)strlen(classes);
      const Samples* from = is_new ? &fresh : &known;
      copy_sample(from, rand() % from->count, &mixed, i);
    }
    check(fig_train_step(session, &given, &metrics));
    if ((step + 1) % 100 == 0 || step + 1 == steps) {
      fprintf(stderr, "step %d:", step + 1);
      for (uint32_t i = 0; i < metrics.count; ++i)
        fprintf(stderr, " %s %.3f", metrics.values[i].name, (double)metrics.values[i].value);
      fprintf(stderr, "\n");
    }
  }
  check(fig_session_export(session, argv[9]));
  printf("%d steps, %.1f MB\n", steps, (double)memory.total / 1e6);
  free(fresh.images);
  free(fresh.labels);
  free(known.images);
  free(known.labels);
  free(mixed.images);
  free(mixed.labels);
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
