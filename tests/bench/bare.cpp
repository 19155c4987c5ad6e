// XNNPACK without Figment, on one thread: the machine's GEMM rate, and chains of the operators that Figment runs for
// dense models, for the overhead of a session. `figment_bare_bench MODEL` also times opening MODEL. Prints JSON.
#include <xnnpack.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "core/memory.h"
#include "figment/figment.h"
#include "support.h"

namespace {

using Clock = std::chrono::steady_clock;

template <typename Function>
double median_us(Function function, double seconds) {
  for (int i = 0; i < 3; ++i) function();
  std::vector<double> times;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (times.size() < 5 || Clock::now() < end) {
    const auto start = Clock::now();
    function();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

std::vector<float> random_floats(size_t count, float scale) {
  figment::test::Random random(3);
  std::vector<float> values(count);
  for (float& value : values) value = random.real() * scale;
  return values;
}

struct Chain {
  std::vector<xnn_operator_t> operators;
  std::vector<figment::Array<float>> buffers;

  ~Chain() {
    for (xnn_operator_t op : operators) xnn_delete_operator(op);
  }
  void run() const {
    for (xnn_operator_t op : operators) xnn_run_operator(op, nullptr);
  }
};

// Fully connected layers with ReLU between them and `last` at the end.
void build(Chain* chain, const std::vector<size_t>& sizes, xnn_unary_operator last, size_t batch) {
  const auto buffer = [&](size_t count) {
    chain->buffers.emplace_back();
    if (!chain->buffers.back().allocate(count + 16)) std::abort();
    return chain->buffers.back().data();
  };
  float* x = buffer(batch * sizes[0]);
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    const std::vector<float> weights = random_floats(sizes[i] * sizes[i + 1], 0.1F);
    const std::vector<float> bias = random_floats(sizes[i + 1], 0.1F);
    const bool hidden = i + 2 < sizes.size();
    xnn_operator_t op = nullptr;
    xnn_create_fully_connected_nc_f32(sizes[i], sizes[i + 1], sizes[i], sizes[i + 1], weights.data(), bias.data(),
                                      hidden ? 0 : -INFINITY, INFINITY, 0, nullptr, nullptr, &op);
    xnn_reshape_fully_connected_nc_f32(op, batch, nullptr);
    float* y = buffer(batch * sizes[i + 1]);
    xnn_setup_fully_connected_nc_f32(op, x, y);
    chain->operators.push_back(op);
    x = y;
  }
  xnn_operator_t op = nullptr;
  const size_t count = batch * sizes.back();
  xnn_create_unary_elementwise_nc(last, xnn_datatype_fp32, xnn_datatype_fp32, nullptr, nullptr, nullptr, 0, &op);
  xnn_reshape_unary_elementwise_nc(op, 1, count, count, count, nullptr);
  xnn_setup_unary_elementwise_nc(op, x, x);
  chain->operators.push_back(op);
}

// Opening and verifying a model, and creating sessions: the first packs the weights, the second finds them packed.
void time_start(const char* path) {
  fig_model* model = nullptr;
  const double open_us = median_us(
      [&] {
        fig_model_close(model);
        if (fig_model_open(path, &model) != FIG_OK) std::abort();
      },
      0.2);
  double create_us[2];
  for (double& us : create_us) {
    fig_session* session = nullptr;
    const auto start = Clock::now();
    if (fig_session_create(model, nullptr, &session) != FIG_OK) std::abort();
    us = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    fig_session_destroy(session);
  }
  fig_model_close(model);
  std::printf("{\"open_us\": %.0f, \"first_session_us\": %.0f, \"second_session_us\": %.0f, ", open_us, create_us[0],
              create_us[1]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  time_start(argv[1]);
  xnn_initialize(nullptr);
  Chain gemm;
  constexpr size_t kSize = 512;
  build(&gemm, {kSize, kSize}, xnn_unary_abs, kSize);
  const double gemm_us = median_us([&] { xnn_run_operator(gemm.operators[0], nullptr); }, 0.5);
  std::printf("\"gemm_gflops\": %.1f, \"chains\": [", 2.0 * kSize * kSize * kSize / gemm_us / 1e3);
  const char* separator = "";
  for (size_t batch : {1, 16, 64}) {
    Chain dgan;
    Chain vae;
    build(&dgan, {100, 256, 512, 1024, 784}, xnn_unary_tanh, batch);
    build(&vae, {20, 400, 784}, xnn_unary_sigmoid, batch);
    for (const auto& [name, chain] : {std::pair<const char*, Chain*>{"dgan", &dgan}, {"vae_decoder", &vae}}) {
      std::printf("%s\n  {\"model\": \"%s\", \"batch\": %zu, \"median_us\": %.2f}", separator, name, batch,
                  median_us([built = chain] { built->run(); }, 0.3));
      separator = ",";
    }
  }
  std::printf("]}\n");
  return 0;
}
