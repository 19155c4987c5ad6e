/* A service that generates while it learns: one thread trains a model on images and exports what it has learned, the
 * other generates without a pause, and takes over each new model between two pictures. A file is written whole or not
 * at all, and an open model never changes, so that every picture is of one model.
 *
 *   linux_service MODEL IMAGES VERSIONS STEPS OUT
 *   linux_service clothes.figment train-images-idx3-ubyte 5 100 out
 *
 * MODEL was made for training, of images without a condition; IMAGES is an IDX file of them, not compressed. After each
 * STEPS train steps there is a new version, out/model.figment, and of each the picture out/VERSION.pgm from one latent.
 */
#include <figment/figment.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kBatch = 16, kHeader = 16, kSeed = 7, kMaxPath = 4096 };

typedef struct Service {
  fig_model* trained;
  unsigned char* images;
  size_t image_count;
  size_t pixels;
  uint32_t height;
  uint32_t width;
  int versions;
  int steps;
  char path[kMaxPath]; /* of the newest version */
  const char* folder;
  pthread_mutex_t lock; /* of: */
  int exported;         /* the newest version */
} Service;

/* Whichever thread fails, the service ends. */
static void fail(const char* what) {
  fprintf(stderr, "linux_service: %s\n", what);
  exit(1);
}

static void check(fig_status status) {
  if (status != FIG_OK) fail(fig_error_message());
}

static void* allocate(size_t bytes) {
  void* memory = calloc(bytes, 1);
  if (memory == NULL) fail("out of memory");
  return memory;
}

static void read_images(Service* service, const char* path) {
  unsigned char header[kHeader];
  FILE* file = fopen(path, "rb");
  if (file == NULL) fail("cannot open the images");
  if (fread(header, 1, kHeader, file) != kHeader || header[2] != 8 || header[3] != 3)
    fail("the images are no IDX file of bytes; it must not be compressed");
  service->image_count = (size_t)header[4] << 24 | (size_t)header[5] << 16 | (size_t)header[6] << 8 | header[7];
  if (service->image_count == 0 || service->image_count > 1000000) fail("the images are none, or too many");
  service->images = allocate(service->image_count * service->pixels);
  if (((uint32_t)header[10] << 8 | header[11]) != service->height ||
      ((uint32_t)header[14] << 8 | header[15]) != service->width ||
      fread(service->images, service->pixels, service->image_count, file) != service->image_count)
    fail("the images are of another size than the model's, or fewer than the file says");
  fclose(file);
}

static void* train(void* argument) {
  Service* service = argument;
  fig_session* session = NULL;
  const fig_session_options options = {
      .struct_size = sizeof options, .program = "", .batch = kBatch, .seed = kSeed, .training = true};
  check(fig_session_create(service->trained, &options, &session));
  fig_port_info port;
  check(fig_model_batch_input(service->trained, 0, &port));
  float* samples = allocate(kBatch * service->pixels * sizeof(float));
  const fig_tensor input = {port.name, samples, kBatch * service->pixels, FIG_F32};
  const fig_batch batch = {sizeof batch, kBatch, &input, 1, NULL, 0};
  unsigned long long random = 1;
  for (int version = 1; version <= service->versions; ++version) {
    for (int step = 0; step < service->steps; ++step) {
      for (size_t i = 0; i < kBatch; ++i) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        const unsigned char* image = service->images + (size_t)(random >> 33) % service->image_count * service->pixels;
        for (size_t j = 0; j < service->pixels; ++j) samples[i * service->pixels + j] = (float)image[j] / 127.5f - 1;
      }
      fig_metrics metrics;
      check(fig_train_step(session, &batch, &metrics));
    }
    check(fig_session_export(session, service->path));
    pthread_mutex_lock(&service->lock);
    service->exported = version;
    pthread_mutex_unlock(&service->lock);
  }
  free(samples);
  fig_session_destroy(session);
  return NULL;
}

static void write_picture(const Service* service, int version, const float* pixels) {
  char path[kMaxPath + 16];
  snprintf(path, sizeof path, "%s/%d.pgm", service->folder, version);
  FILE* file = fopen(path, "wb");
  if (file == NULL) fail("cannot write pictures: the folder must be there");
  fprintf(file, "P5\n%u %u\n255\n", (unsigned)service->width, (unsigned)service->height);
  for (size_t i = 0; i < service->pixels; ++i) fputc((int)((pixels[i] + 1) * 127.5f + 0.5f), file);
  if (fclose(file) != 0) fail("cannot write pictures");
}

/* Generates until the last version has been seen. */
static void generate(Service* service) {
  const fig_session_options options = {.struct_size = sizeof options, .program = "generate", .seed = kSeed};
  float* pixels = allocate(service->pixels * sizeof(float));
  fig_model* model = service->trained;
  fig_session* session = NULL;
  check(fig_session_create(model, &options, &session));
  unsigned long long pictures = 0;
  for (int version = 0;;) {
    /* What a server would do with its requests: here, always the same picture. */
    check(fig_generate(session, 1, NULL, pixels, service->pixels));
    if (pictures++ == 0) write_picture(service, version, pixels);
    pthread_mutex_lock(&service->lock);
    const int newest = service->exported;
    pthread_mutex_unlock(&service->lock);
    if (newest == version) continue;
    printf("version %d: %llu pictures\n", version, pictures);
    fflush(stdout);
    /* The file may be replaced by a newer one meanwhile: what is opened stays as it is. */
    fig_model* next = NULL;
    fig_session* next_session = NULL;
    check(fig_model_open(service->path, &next));
    check(fig_session_create(next, &options, &next_session));
    fig_session_destroy(session);
    if (model != service->trained) fig_model_close(model);
    model = next;
    session = next_session;
    version = newest;
    pictures = 0;
    if (version == service->versions) break;
  }
  check(fig_generate(session, 1, NULL, pixels, service->pixels));
  write_picture(service, service->versions, pixels);
  printf("version %d is the last\n", service->versions);
  free(pixels);
  fig_session_destroy(session);
  fig_model_close(model);
}

int main(int argc, char** argv) {
  Service service = {.lock = PTHREAD_MUTEX_INITIALIZER};
  if (argc != 6) {
    fprintf(stderr, "usage: linux_service MODEL IMAGES VERSIONS STEPS OUT\n");
    return 2;
  }
  service.versions = atoi(argv[3]);
  service.steps = atoi(argv[4]);
  service.folder = argv[5];
  if (service.versions < 1 || service.steps < 1) fail("VERSIONS and STEPS are numbers, 1 at least");
  if (snprintf(service.path, sizeof service.path, "%s/model.figment", argv[5]) >= (int)sizeof service.path)
    fail("the path is too long");
  fig_port_info port;
  check(fig_model_open(argv[1], &service.trained));
  check(fig_model_batch_input(service.trained, 0, &port));
  if (port.shape.rank != 4 || port.shape.extents[1] != 1) fail("the model's samples are no gray images");
  service.height = port.shape.extents[2];
  service.width = port.shape.extents[3];
  service.pixels = (size_t)service.height * service.width;
  read_images(&service, argv[2]);
  pthread_t trainer;
  if (pthread_create(&trainer, NULL, train, &service) != 0) fail("cannot start a thread");
  generate(&service);
  pthread_join(trainer, NULL);
  free(service.images);
  fig_model_close(service.trained);
  return 0;
}
