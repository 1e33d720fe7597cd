#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/tensor_directory.h"
#include "engine/model/adapter_names.h"
#include "engine/quant/format.h"

namespace conclave::engine::model {

/// The format that values stored like this are kept in: that of the file where it is F16 or BF16, so that
/// nothing is rounded and nothing grows; else F32.
quant::Format keptFormat(quant::Format stored);

/// The values of one tensor of an adapter, on their way into memory. The tensor must outlive it.
class AdapterValues {
  public:
    /// `file` stands in messages. Errors: TensorFormat for what is no float; ValueOutOfRange for NaN or
    /// infinity.
    static base::Result<AdapterValues> of(const formats::TensorInfo& tensor, const std::string& file);

    /// Writes a factor in `format`, the kept one or F32: [rank][values] without gaps; value i comes from
    /// order[i] of the source, or from i where `order` is empty.
    void fill(const FactorSource& source, std::span<const uint32_t> order, uint32_t rank, uint32_t values,
              quant::Format format, std::byte* out) const;

  private:
    std::vector<float> decoded_;       ///< empty where the tensor is stored as it is kept
    std::span<const std::byte> from_;  ///< in the kept format
    quant::Format kept_ = quant::Format::F32;
};

}  // namespace conclave::engine::model
