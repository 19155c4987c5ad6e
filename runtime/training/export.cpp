#include "training/export.h"

#include "platform/file.h"
#include "training/parameters.h"
#include "training/trainer.h"

namespace figment {

Status export_model(const Session& session, const char* path) {
  FIGMENT_RETURN_IF_ERROR(check_training(session));
  FIGMENT_RETURN_IF_ERROR(check_variables(session, false));
  const Model& model = *session.model();
  const format::ModelView& view = model.view();
  platform::FileReplacement file;
  FIGMENT_RETURN_IF_ERROR(file.begin(path));
  FIGMENT_RETURN_IF_ERROR(file.write(0, model.data(), model.file_bytes()));
  const auto offset_of = [&](const format::ConstantView& constant) {
    return static_cast<uint64_t>(static_cast<const char*>(constant.data) - static_cast<const char*>(model.data()));
  };
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    if (session.variables().data(i) == nullptr || constant.data == nullptr) continue;
    FIGMENT_RETURN_IF_ERROR(file.write(offset_of(constant), session.variables().data(i), constant.bytes));
  }
  // The file has no moments, so that an optimizer that trains on counts its steps from the beginning.
  for (size_t i = 0; i < view.program_count(); ++i) {
    const format::ProgramView program = view.program(i);
    for (size_t j = 0; j < program.op_count(); ++j) {
      const format::OpView op = program.op(j);
      if (op.kind != format::OpKind::kCountStep) continue;
      const auto index = static_cast<size_t>(program.tensor(op.inputs[0]).constant);
      if (view.constant(index).data == nullptr) continue;
      const float none = 0;
      const uint64_t place = offset_of(view.constant(index)) + format::kSteps * sizeof none;
      FIGMENT_RETURN_IF_ERROR(file.write(place, &none, sizeof none));
    }
  }
  return file.commit();
}

}  // namespace figment
