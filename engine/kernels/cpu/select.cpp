#include <string>

#include "engine/kernels/cpu/rows.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/reference/loops.h"
#include "engine/kernels/reference/operations.h"

namespace conclave::engine::kernels {
namespace {

// Best first.
constexpr const Kernels* kRows[] = {
#if defined(__x86_64__)
    &cpu::kAvx512, &cpu::kAvx2,
#endif
    &reference::kRow};

}  // namespace

Activation appliedActivation(quant::Format format, Activation asked) {
    if (asked == Activation::BF16 && format == quant::Format::BF16) return asked;
    if (reference::int8Terms(asked) > 0 && reference::unpackedShape(format).run > 0) return asked;
    return Activation::F32;
}

std::span<const Kernels* const> allKernels() {
    return kRows;
}

base::Result<const Kernels*> selectKernels(std::string_view name) {
    std::string known;
    for (const Kernels* row : kRows) {
        if (name.empty() && row->supported()) return row;
        known.append(known.empty() ? "" : ", ").append(row->name);
        if (row->name != name) continue;
        if (!row->supported())
            return base::Error{
                base::Code::KernelsUnsupported, "", "", {std::string(name), std::string(row->needs)}};
        return row;
    }
    return base::Error{base::Code::UnknownKernels, "", "", {std::string(name), known}};
}

}  // namespace conclave::engine::kernels
