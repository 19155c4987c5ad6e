// Verifies what training reads of a file; see verify.cpp.
#include <cmath>
#include <cstring>
#include <limits>

#include "core/checked.h"
#include "core/text.h"
#include "format/checker.h"
#include "format/scaling.h"

namespace figment::format {

namespace {

constexpr size_t kMaxLevels = 16;
// Over all entries of the first level, whose programs say what a batch holds: each is looked for among those before it.
constexpr size_t kMaxBatchInputs = 2048;

class TrainingParts {
 public:
  explicit TrainingParts(Checker* checker) : checker_(*checker) {}

  Status verify() {
    for (uint32_t i = 0; i < length(checker_.root().parameters()); ++i) {
      if (Status status = parameter(checker_.root().parameters()->Get(i)); !status.ok())
        return status.with_prefix("parameter %u", i);
    }
    FIGMENT_RETURN_IF_ERROR(scalings());
    FIGMENT_RETURN_IF_ERROR(objective());
    FIGMENT_RETURN_IF_ERROR(requantization());
    return training();
  }

 private:
  Status objective() {
    const schema::Objective* objective = checker_.root().objective();
    if (objective == nullptr) return {};
    FIGMENT_RETURN_IF_ERROR(checker_.check_name(objective->name()));
    FIGMENT_RETURN_IF_ERROR(checker_.check_text(objective->loss(), "the loss's kind"));
    FIGMENT_RETURN_IF_ERROR(checker_.check_text(objective->divergence_weight(), "the divergence's weight"));
    if (objective->score() > schema::Score::MAX) return bad("unknown score");
    if (objective->likelihood() > schema::Likelihood::MAX) return bad("unknown likelihood");
    if (objective->score() == schema::Score::evidence_lower_bound &&
        objective->likelihood() == schema::Likelihood::none) {
      return bad("a score by the evidence lower bound needs a likelihood");
    }
    for (uint32_t i = 0; i < length(objective->metrics()); ++i) {
      const schema::Metric* metric = objective->metrics()->Get(i);
      FIGMENT_RETURN_IF_ERROR(checker_.check_name(metric->name()));
      if (metric->kind() > schema::MetricKind::MAX) return bad("metric %u: unknown kind", i);
      if (!(metric->saturation() >= 0) || !std::isfinite(metric->saturation()))
        return bad("metric %u: its saturation must be finite and not negative", i);
    }
    return {};
  }

  Status parameter(const schema::Parameter* entry) {
    FIGMENT_RETURN_IF_ERROR(checker_.check_name(entry->name()));
    if (entry->constant() >= length(checker_.root().constants())) return bad("names no constant");
    FIGMENT_RETURN_IF_ERROR(check_dimensions(entry->shape()));
    FIGMENT_RETURN_IF_ERROR(check_dimensions(entry->split()));
    FIGMENT_RETURN_IF_ERROR(check_dimensions(entry->permutation()));
    CheckedSize elements = 1;
    CheckedSize split = 1;
    for (uint32_t i = 0; i < length(entry->shape()); ++i) elements *= entry->shape()->Get(i);
    for (uint32_t i = 0; i < length(entry->split()); ++i) split *= entry->split()->Get(i);
    if (!is_permutation(list(entry->permutation()), length(entry->split()))) return bad("its permutation is not one");
    const ConstantView values = checker_.view().constant(entry->constant());
    const uint64_t count = values.bytes / element_size(values.type);
    if (!elements.valid() || !split.valid() || elements.value() != split.value() ||
        !range_inside(entry->offset(), split.value(), count)) {
      return bad("does not lie inside its constant");
    }
    return {};
  }

  Status scalings() {
    if (length(checker_.root().scalings()) > kMaxPorts) return bad("more than %zu scalings", kMaxPorts);
    for (uint32_t i = 0; i < length(checker_.root().scalings()); ++i) {
      const schema::Scaling* scaling = checker_.root().scalings()->Get(i);
      FIGMENT_RETURN_IF_ERROR(checker_.check_name(scaling->input()));
      if (scaling->constant() >= length(checker_.root().constants())) return bad("scaling %u names no constant", i);
      const schema::Constant* constant = checker_.root().constants()->Get(scaling->constant());
      if (constant->type() != schema::DataType::f32 || constant->transient() || constant->half() ||
          constant->not_finite() || constant->blob() == nullptr || length(constant->shape()) != 2 ||
          constant->shape()->Get(1) != ChannelScaling::kValues) {
        return bad("scaling %u is not f32 [channels, %zu]", i, size_t{ChannelScaling::kValues});
      }
      for (uint32_t j = 0; j < i; ++j) {
        const schema::Scaling* other = checker_.root().scalings()->Get(j);
        if (same_text(other->input()->c_str(), scaling->input()->c_str()))
          return bad("scalings %u and %u are of one input", j, i);
        if (other->samples() && scaling->samples()) return bad("scalings %u and %u are both of the samples", j, i);
      }
    }
    return {};
  }

  bool is_variable(uint32_t constant) const {
    return constant < length(checker_.root().constants()) && checker_.root().constants()->Get(constant)->variable();
  }

  // That every training session holds.
  bool is_kept_variable(uint32_t constant) const {
    return is_variable(constant) && !checker_.root().constants()->Get(constant)->transient();
  }

  // The schedule, the scalars and the trained parameters.
  Status training() {
    if (length(checker_.root().schedule()) > kMaxPrograms)
      return bad("more than %zu entries in the schedule", kMaxPrograms);
    size_t inputs = 0;
    for (uint32_t i = 0; i < length(checker_.root().schedule()); ++i) {
      const schema::ScheduleEntry* entry = checker_.root().schedule()->Get(i);
      if (entry->period() < 1 || entry->phase() >= entry->period())
        return bad("schedule entry %u: its period is empty", i);
      if (entry->per_micro_batch() && checker_.root().micro_batch_weight() < 0)
        return bad("schedule entry %u: no weight for its micro-batches", i);
      if (entry->per_micro_batch() && entry->samples() > 0) return bad("schedule entry %u: two sizes of its parts", i);
      if (entry->level() >= kMaxLevels) return bad("schedule entry %u: its level is out of range", i);
      bool found = false;
      for (size_t p = 0; p < checker_.view().program_count() && entry->program() != nullptr; ++p) {
        const bool named = same_text(checker_.view().program(p).name(), entry->program()->c_str());
        if (named && !checker_.view().program(p).updates())
          return bad("schedule entry %u: its program changes nothing", i);
        if (named && !found && entry->level() == 0) inputs += checker_.view().program(p).input_count();
        found = found || named;
      }
      if (!found) return bad("schedule entry %u names no program", i);
      if (inputs > kMaxBatchInputs) return bad("the schedule's programs have more than %zu inputs", kMaxBatchInputs);
      for (uint32_t j = 0; j < i; ++j) {
        const schema::ScheduleEntry* other = checker_.root().schedule()->Get(j);
        const bool same =
            other->level() == entry->level() && same_text(other->program()->c_str(), entry->program()->c_str());
        if (same && (other->per_micro_batch() != entry->per_micro_batch() || other->samples() != entry->samples()))
          return bad("schedule entry %u: its program runs in parts and whole", i);
      }
      if (length(entry->latents()) > kMaxPorts) return bad("schedule entry %u: more than %zu latents", i, kMaxPorts);
      for (uint32_t j = 0; j < length(entry->latents()); ++j) {
        const schema::Latent* drawn = entry->latents()->Get(j);
        FIGMENT_RETURN_IF_ERROR(checker_.latent(drawn));
        if (!same_text(drawn->program()->c_str(), entry->program()->c_str())) {
          return bad("schedule entry %u draws for another program", i);
        }
      }
    }
    if (checker_.root().micro_batch_weight() >= 0 &&
        !is_variable(static_cast<uint32_t>(checker_.root().micro_batch_weight()))) {
      return bad("the weight of the parts is no variable");
    }
    for (uint32_t i = 0; i < length(checker_.root().scalars()); ++i) {
      const schema::Scalar* scalar = checker_.root().scalars()->Get(i);
      FIGMENT_RETURN_IF_ERROR(checker_.check_name(scalar->name()));
      if (!is_kept_variable(scalar->constant()) ||
          scalar->index() >= checker_.view().constant(scalar->constant()).bytes / sizeof(float)) {
        return bad("scalar %s is no value of a variable", scalar->name()->c_str());
      }
    }
    const schema::Objective* objective = checker_.root().objective();
    if (objective != nullptr && length(checker_.root().schedule()) > 0 && length(objective->divergence_weight()) > 0) {
      bool named = false;
      for (uint32_t i = 0; i < length(checker_.root().scalars()); ++i) {
        named = named ||
                same_text(checker_.root().scalars()->Get(i)->name()->c_str(), objective->divergence_weight()->c_str());
      }
      if (!named) return bad("the divergence's weight is no scalar");
    }
    for (uint32_t i = 0; i < length(checker_.root().trained()); ++i) {
      const schema::Trained* trained = checker_.root().trained()->Get(i);
      if (!is_kept_variable(trained->constant())) return bad("trained parameter %u is no variable", i);
      FIGMENT_RETURN_IF_ERROR(checker_.spend(sizeof(uint32_t) * (1 + uint64_t{length(trained->state())})));
      for (uint32_t j = 0; j < length(trained->state()); ++j) {
        const uint32_t state = trained->state()->Get(j);
        if (!is_kept_variable(state) ||
            checker_.view().constant(state).shape != checker_.view().constant(trained->constant()).shape) {
          return bad("trained parameter %u: its state is no variable of its shape", i);
        }
      }
    }
    return {};
  }

  Status requantization() {
    const schema::Requantization* entry = checker_.root().requantization();
    if (entry == nullptr) return {};
    FIGMENT_RETURN_IF_ERROR(checker_.check_name(entry->program()));
    if (entry->samples() < 1 || entry->samples() > RequantizationView::kMostSamples)
      return bad("requantization: its number of samples is out of range");
    if (checker_.root().latent() == nullptr) return bad("requantization: the model does not generate");
    if (length(checker_.root().schedule()) == 0) return bad("requantization: the model does not train");
    if (entry->model() == nullptr || entry->sources() == nullptr || entry->limits() == nullptr ||
        entry->sources()->size() != entry->limits()->size()) {
      return bad("requantization: it is incomplete");
    }
    for (float limit : *entry->limits()) {
      const bool fixed = limit == RequantizationView::kFixed;
      if (!fixed && !(limit >= 0 && limit <= std::numeric_limits<float>::max()))
        return bad("requantization: a limit is no number");
    }
    for (size_t p = 0; p < checker_.view().program_count(); ++p) {
      if (!checker_.view().is_requantized(p)) continue;
      const ProgramView program = checker_.view().program(p);
      if (program.updates()) return bad("requantization: its program changes variables");
      if (program.input_count() > RequantizationView::kMostInputs)
        return bad("requantization: its program has more than %zu inputs", RequantizationView::kMostInputs);
      for (uint32_t source : *entry->sources()) {
        if (source == RequantizationView::kNone) continue;
        if (source >= program.tensor_count() || program.tensor(source).type.type != DataType::kF32)
          return bad("requantization: a source is no tensor in f32");
      }
      return {};
    }
    return bad("requantization: there is no program \"%s\"", entry->program()->c_str());
  }

  Checker& checker_;
};

}  // namespace

Status verify_training(Checker* checker) { return TrainingParts(checker).verify(); }

}  // namespace figment::format
