#include "session/training_link.h"

figment::format::TrainingVerifier* figment::format::linked_training_verifier() {
  return fig_use_training == nullptr ? nullptr : fig_use_training->verify;
}
