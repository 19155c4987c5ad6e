// figment.hpp, as a program of C++ uses it.
#include <doctest/doctest.h>

#include <cmath>
#include <type_traits>
#include <utility>

#include "figment/figment.hpp"
#include "support.h"

using figment::test::model_path;

TEST_CASE("the C++ wrapper generates, encodes, decodes and reconstructs as the C API does") {
  const fig::Model model(model_path("tiny_vae"));
  fig::Options options;
  options.batch = 4;
  options.seed = 3;
  fig::Session session(model, options);
  REQUIRE(session.sample_elements() > 0);
  REQUIRE(session.latent_elements() == model.latent().size);
  const std::vector<float> samples = session.generate(6);
  CHECK(samples.size() == 6 * session.sample_elements());
  CHECK(session.generate(0).empty());
  // Number 2 on is what stands there among the first.
  const std::vector<float> later = session.generate(4, {}, 2);
  for (size_t i = 0; i < later.size(); ++i)
    CHECK(later[i] == doctest::Approx(samples[2 * session.sample_elements() + i]).epsilon(1e-5));
  const std::vector<float> means = session.encode(samples);
  CHECK(means.size() == 6 * session.latent_elements());
  const std::vector<float> decoded = session.decode(means);
  const std::vector<float> reconstructed = session.reconstruct(samples);
  REQUIRE(decoded.size() == reconstructed.size());
  for (size_t i = 0; i < decoded.size(); ++i) CHECK(decoded[i] == doctest::Approx(reconstructed[i]).epsilon(1e-5));
  // The same by a program's name, from memory that is only read.
  std::vector<float> mean(means.size());
  std::vector<float> log_variance(means.size());
  session.run("encode", 6, {fig::tensor("sample", std::as_const(samples))},
              {fig::tensor("latent_mean", mean), fig::tensor("latent_log_variance", log_variance)});
  for (size_t i = 0; i < mean.size(); ++i) CHECK(mean[i] == doctest::Approx(means[i]).epsilon(1e-5));
}

TEST_CASE("the C++ wrapper trains, and says what a batch holds") {
  const fig::Model model(model_path("tiny_gan"));
  const std::vector<fig_port_info> ports = model.batch_inputs();
  REQUIRE(ports.size() == 2);
  fig::Options options;
  options.training = true;
  options.batch = 4;
  fig::Session session(model, options);
  std::vector<std::vector<float>> values;
  std::vector<fig_tensor> batch;
  for (const fig_port_info& port : ports) {
    values.emplace_back(4 * fig::elements(port.shape), 0.5F);
    batch.push_back({port.name, values.back().data(), values.back().size(), FIG_F32});
  }
  const fig_metrics metrics = session.train_step(4, batch);
  CHECK(metrics.count > 0);
  CHECK(std::isfinite(metrics.values[0].value));
  CHECK(session.steps() == 1);
}

TEST_CASE("the C++ wrapper throws the library's sentence, and moves") {
  CHECK_THROWS_WITH_AS(fig::Model("/no/such.figment"), doctest::Contains("/no/such.figment"), fig::Error);
  fig::Model model(model_path("tiny_vae"));
  try {
    (void)model.program("paint");
    FAIL("there is no such program");
  } catch (const fig::Error& error) {
    CHECK(error.status() == FIG_NOT_FOUND);
    CHECK(std::string(error.what()).find("paint") != std::string::npos);
  }
  fig::Session session(model);
  CHECK_THROWS_AS(session.decode({1.0F, 2.0F, 3.0F, 4.0F, 5.0F}), fig::Error);
  CHECK_THROWS_AS(session.run("paint", 1, {}, {}), fig::Error);
  static_assert(!std::is_copy_constructible_v<fig::Session> && std::is_nothrow_move_constructible_v<fig::Session>);
  // The model may go before the session.
  fig::Session moved = std::move(session);
  {
    const fig::Model gone = std::move(model);
  }
  CHECK(moved.generate(2).size() == 2 * moved.sample_elements());
  // One that does not generate.
  const fig::Model classifier(model_path("tiny_classifier"));
  const fig::Session reads(classifier);
  CHECK(reads.sample_elements() == 0);
  CHECK(reads.latent_elements() == 0);
}
