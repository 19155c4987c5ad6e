// Figment for C++17: the C API with objects that release what they hold, vectors, and errors as exceptions.
//
//   fig::Model model("model.figment");
//   fig::Options options;
//   options.batch = 16;
//   fig::Session session(model, options);
//   std::vector<float> samples = session.generate(16);
//
// Header-only, on top of figment.h, which says shapes, layouts and ranges. All functions but destructors throw fig::Error,
// whose text is the library's, and std::bad_alloc or std::length_error where a vector finds no memory. Threads: as in
// figment.h. handle() gives the C object for what is not wrapped. What was moved from can only be destroyed or assigned.
#ifndef FIGMENT_FIGMENT_HPP
#define FIGMENT_FIGMENT_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "figment/figment.h"

namespace fig {

class Error : public std::runtime_error {
 public:
  explicit Error(fig_status status) : Error(status, fig_error_message()) {}
  Error(fig_status status, const std::string& text) : std::runtime_error(text), status_(status) {}

  fig_status status() const { return status_; }

 private:
  fig_status status_;
};

inline void check(fig_status status) {
  if (status != FIG_OK) throw Error(status);
}

// Values of one sample of a shape.
inline std::size_t elements(const fig_shape& shape) {
  std::size_t count = 1;
  for (std::uint32_t i = 0; i < shape.rank; ++i) count *= shape.extents[i];
  return count;
}

class Model {
 public:
  // Maps the file, which must not change meanwhile.
  explicit Model(const std::string& path) {
    fig_model* model = nullptr;
    check(fig_model_open(path.c_str(), &model));
    model_.reset(model);
  }
  // `data`, aligned to 64, must outlive the model and its sessions.
  Model(const void* data, std::size_t size) {
    fig_model* model = nullptr;
    check(fig_model_open_memory(data, size, &model));
    model_.reset(model);
  }

  fig_model* handle() const { return model_.get(); }

  fig_model_info info() const {
    fig_model_info info{};
    check(fig_model_get_info(handle(), &info));
    return info;
  }
  // How the generated output is to be read.
  fig_output_info generated() const {
    fig_output_info info{};
    check(fig_model_generated(handle(), &info));
    return info;
  }
  fig_latent_info latent() const {
    fig_latent_info info{};
    check(fig_model_latent(handle(), &info));
    return info;
  }
  // The number of a program, for what takes one.
  std::uint32_t program(const std::string& name) const {
    const std::uint32_t count = info().programs;
    for (std::uint32_t i = 0; i < count; ++i) {
      fig_program_info program{};
      check(fig_model_program(handle(), i, &program));
      if (name == program.name) return i;
    }
    throw Error(FIG_NOT_FOUND, "the model has no program " + name);
  }
  // What a batch of a train step holds.
  std::vector<fig_port_info> batch_inputs() const {
    std::vector<fig_port_info> inputs;
    fig_port_info port{};
    while (fig_model_batch_input(handle(), static_cast<std::uint32_t>(inputs.size()), &port) == FIG_OK)
      inputs.push_back(port);
    return inputs;
  }

 private:
  struct Close {
    void operator()(fig_model* model) const { fig_model_close(model); }
  };
  std::unique_ptr<fig_model, Close> model_;
};

// fig_session_options whose size is set; all else is the default.
struct Options : fig_session_options {
  Options() : fig_session_options() { struct_size = sizeof(fig_session_options); }
};

// A named tensor over memory of the caller's, which must live as long as it is used.
inline fig_tensor tensor(const char* name, std::vector<float>& values) {
  return {name, values.data(), values.size(), FIG_F32};
}
inline fig_tensor tensor(const char* name, std::vector<std::int32_t>& values) {
  return {name, values.data(), values.size(), FIG_I32};
}
inline fig_tensor tensor(const char* name, std::vector<std::int64_t>& values) {
  return {name, values.data(), values.size(), FIG_I64};
}

// The same of what is only read, an input.
inline fig_tensor tensor(const char* name, const std::vector<float>& values) {
  return {name, const_cast<float*>(values.data()), values.size(), FIG_F32};
}
inline fig_tensor tensor(const char* name, const std::vector<std::int32_t>& values) {
  return {name, const_cast<std::int32_t*>(values.data()), values.size(), FIG_I32};
}
inline fig_tensor tensor(const char* name, const std::vector<std::int64_t>& values) {
  return {name, const_cast<std::int64_t*>(values.data()), values.size(), FIG_I64};
}

class Session {
 public:
  // The model may go before the session: its memory stays.
  explicit Session(const Model& model, const fig_session_options& options = Options()) {
    fig_session* session = nullptr;
    check(fig_session_create(model.handle(), &options, &session));
    session_.reset(session);
    try {
      const fig_output_info output = model.generated();
      sample_elements_ = elements_of(model.program(output.program), output.port, fig_session_output);
      const fig_latent_info latent = model.latent();
      latent_elements_ = elements_of(model.program(latent.program), latent.input, fig_session_input);
    } catch (const Error& error) {
      if (error.status() != FIG_NOT_FOUND) throw;
      // It does not generate.
    }
  }

  fig_session* handle() const { return session_.get(); }
  // Values of a generated sample, and of its latent, at the session's length; 0 of a model that does not generate.
  std::size_t sample_elements() const { return sample_elements_; }
  std::size_t latent_elements() const { return latent_elements_; }

  // `count` samples from the latents of the session's seed, number `first` on; of a generator with conditions, under
  // those, each for `count` samples.
  std::vector<float> generate(std::size_t count, const std::vector<fig_tensor>& conditions = {},
                              std::uint64_t first = 0) {
    fig_generate_options options{};
    options.struct_size = sizeof options;
    options.first_index = first;
    options.inputs = conditions.data();
    options.input_count = conditions.size();
    if (count == 0) return {};
    std::vector<float> samples(count * sample_elements_);
    check(fig_generate(handle(), count, &options, samples.data(), samples.size()));
    return samples;
  }
  // Samples from latents of the caller's, which are of whole samples.
  std::vector<float> decode(const std::vector<float>& latents) {
    const std::size_t count = latent_elements_ == 0 ? 0 : latents.size() / latent_elements_;
    std::vector<float> samples(count * sample_elements_);
    check(fig_decode(handle(), count, latents.data(), latents.size(), samples.data(), samples.size()));
    return samples;
  }
  // Means of q(latent | sample).
  std::vector<float> encode(const std::vector<float>& samples) {
    const std::size_t count = sample_elements_ == 0 ? 0 : samples.size() / sample_elements_;
    std::vector<float> means(count * latent_elements_);
    check(fig_encode(handle(), count, samples.data(), samples.size(), means.data(), means.size(), nullptr, 0));
    return means;
  }
  std::vector<float> reconstruct(const std::vector<float>& samples) {
    const std::size_t count = sample_elements_ == 0 ? 0 : samples.size() / sample_elements_;
    std::vector<float> result(samples.size());
    check(fig_reconstruct(handle(), count, samples.data(), samples.size(), result.data(), result.size()));
    return result;
  }
  void run(const char* program, std::size_t count, const std::vector<fig_tensor>& inputs,
           const std::vector<fig_tensor>& outputs) {
    check(fig_run(handle(), program, count, inputs.data(), inputs.size(), outputs.data(), outputs.size()));
  }

  // One train step on a batch of `count` samples: Model::batch_inputs() names what it holds.
  fig_metrics train_step(std::size_t count, const std::vector<fig_tensor>& inputs) {
    fig_batch batch{};
    batch.struct_size = sizeof batch;
    batch.count = count;
    batch.inputs = inputs.data();
    batch.input_count = inputs.size();
    fig_metrics metrics{};
    check(fig_train_step(handle(), &batch, &metrics));
    return metrics;
  }
  std::uint64_t steps() const { return fig_session_steps(handle()); }

  void save_checkpoint(const std::string& folder) const {
    check(fig_checkpoint_save(handle(), folder.c_str(), nullptr, 0));
  }
  // False if the folder holds none. What another program keeps in it, as `figment train` does, is left
  // out, if that is 4 KB at most.
  bool load_checkpoint(const std::string& folder) {
    constexpr std::size_t kMostOfAnother = 4096;
    std::vector<unsigned char> another(kMostOfAnother);
    std::size_t size = 0;
    const fig_status status = fig_checkpoint_load(handle(), folder.c_str(), another.data(), another.size(), &size);
    if (status != FIG_NOT_FOUND) check(status);
    return status == FIG_OK;
  }
  // Writes the trained model.
  void export_model(const std::string& path) const { check(fig_session_export(handle(), path.c_str())); }

  double scalar(const char* name) {
    double value = 0;
    check(fig_session_get_scalar(handle(), name, &value));
    return value;
  }
  void set_scalar(const char* name, double value) { check(fig_session_set_scalar(handle(), name, value)); }

  fig_memory_report memory() const {
    fig_memory_report report{};
    check(fig_session_memory_used(handle(), &report));
    return report;
  }

 private:
  struct Destroy {
    void operator()(fig_session* session) const { fig_session_destroy(session); }
  };
  // Values for a sample of the port of that name; 0 if there is none.
  std::size_t elements_of(std::uint32_t program, const std::string& name,
                          fig_status (*port_at)(const fig_session*, std::uint32_t, std::uint32_t, fig_port_info*)) const {
    fig_port_info port{};
    for (std::uint32_t i = 0; port_at(handle(), program, i, &port) == FIG_OK; ++i) {
      if (name == port.name) return elements(port.shape);
    }
    return 0;
  }

  std::unique_ptr<fig_session, Destroy> session_;
  std::size_t sample_elements_ = 0;
  std::size_t latent_elements_ = 0;
};

}  // namespace fig

#endif
