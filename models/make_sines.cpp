// Makes the sine set that recurrent GANs are tried on: make_sines OUTPUT.npy [SAMPLES].
//
// Esteban, Hyland and Raetsch, "Real-valued (Medical) Time Series Generation with Recurrent Conditional GANs" (2017),
// section 4.1: sequences of 30 steps x(t) = A sin(2 pi f t / 30 + phi), with A uniform on [0.1, 0.9], f on [1, 5] and
// phi on [-pi, pi], all drawn from a fixed seed. Values lie in [-0.9, 0.9].
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/philox.h"
#include "io/arrays.h"

int main(int argc, char** argv) {
  constexpr size_t kSteps = 30;
  constexpr double kPi = 3.14159265358979323846;
  const long samples = argc == 3 ? std::strtol(argv[2], nullptr, 10) : 14000;
  if (argc < 2 || argc > 3 || samples < 1 || samples > 10000000) {
    std::fprintf(stderr, "usage: figment_sines OUTPUT.npy [SAMPLES]\n");
    return 2;
  }
  figment::io::Array array{{static_cast<size_t>(samples), kSteps, 1}, {}};
  for (size_t i = 0; i < static_cast<size_t>(samples); ++i) {
    float drawn[3];
    figment::draw_latent(figment::Prior::kUniform, 1, 0, i, 3, drawn);
    const auto within = [](double low, double high, float unit) { return low + (high - low) * (unit + 1) / 2; };
    const double amplitude = within(0.1, 0.9, drawn[0]);
    const double frequency = within(1, 5, drawn[1]);
    const double phase = within(-kPi, kPi, drawn[2]);
    for (size_t t = 0; t < kSteps; ++t) {
      array.values.push_back(
          static_cast<float>(amplitude * std::sin(2 * kPi * frequency * static_cast<double>(t) / kSteps + phase)));
    }
  }
  try {
    figment::io::write_file(argv[1], figment::io::format_npy(array));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "figment_sines: %s\n", error.what());
    return 1;
  }
  return 0;
}
