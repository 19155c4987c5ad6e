// What the objectives' programs share.
#pragma once

#include "objectives/network.h"

namespace figment::converter {

// The only port of a kind; throws Error, naming the network and `what`, if there is another number.
const PortDefinition& only(const std::vector<PortDefinition>& ports, const Network& network, const char* what);

// The ports that are no dropout masks.
std::vector<PortDefinition> data_inputs(const Network& network);

// Throws Error if an input of the network has a fixed batch, saying how to export an open one.
void check_batch(const Network& network);

// Elements of one sample.
uint32_t sample_size(const PortDefinition& port);

// Adds `value`, of one element, to the program's outputs, as a metric of the train step.
void add_metric(Builder& build, const std::string& name, ValueId value);

// A program that runs a network, with running statistics, on its own ports; variables are read with `suffix`.
Graph inference_program(const std::string& name, const Network& network, const std::string& suffix = "");

// "project": the generator on a latent, and the gradient, with respect to it, of half the squared distance between
// its sample and a given one. Whoever runs it searches the latent of the sample. Inputs are the generator's and one
// named like its output; outputs "reconstruction" and "gradient".
Graph projection_program(const Network& generator, const PortDefinition& latent, const std::string& suffix);

// The streams of what a train step draws, from 1 on: an input of one name has the same in all programs.
class Streams {
 public:
  uint32_t of(const std::string& input);

 private:
  std::vector<std::string> names_;
};

// A train program under construction.
struct TrainProgram {
  explicit TrainProgram(const std::string& name) : composer(&program) { program.name = name; }

  Graph program;
  Composer composer;
  std::vector<RunningStatistics> statistics;  // of its batch normalizations, to be updated
};

// Ends a train program: takes out what nothing reads, and adds the program and its schedule entry to the model. `entry`
// has everything but the program's name and the dropout masks that it draws.
void add_train_program(Composer* composer, ScheduleDefinition entry, Streams* streams, ModelDefinition* model);

// Adds levels to the schedule whose programs keep less from the forward to the backward pass, if there is much to gain:
// one that computes cheap values again, and one that computes anything again.
void add_recomputing_levels(ModelDefinition* model);

// The level behind the schedule's last.
uint32_t next_level(const ModelDefinition& model);

}  // namespace figment::converter
