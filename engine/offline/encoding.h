#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/kernels/kernels.h"
#include "engine/quant/format.h"

namespace conclave::engine::offline {

/// Whole blocks of `format` made of `values`. `file` and `tensor` stand in messages. Errors: ValueOutOfRange
/// for a finite number that F16 has no room for.
base::Result<std::vector<std::byte>> encoded(std::span<const float> values, quant::Format format,
                                             const std::string& file, const std::string& tensor);

/// Whether `format`, a float one, has every one of these values.
bool holds(quant::Format format, std::span<const float> values);

/// The values of a plain matrix, [rows][cols].
std::vector<float> decoded(const kernels::MatrixView& matrix);

}  // namespace conclave::engine::offline
