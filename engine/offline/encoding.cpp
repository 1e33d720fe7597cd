#include "engine/offline/encoding.h"

#include <algorithm>
#include <cmath>

namespace conclave::engine::offline {

constexpr float kMostHalf = 65520;  // from here on a number rounds to F16's infinity

base::Result<std::vector<std::byte>> encoded(std::span<const float> values, quant::Format format,
                                             const std::string& file, const std::string& tensor) {
    if (format == quant::Format::F16)
        for (const float value : values)
            if (std::fabs(value) >= kMostHalf && std::isfinite(value))
                return base::Error{base::Code::ValueOutOfRange,
                                   file,
                                   tensor,
                                   {std::to_string(value), "F16 ends at 65504; write bf16 instead"}};
    const quant::FormatInfo& info = quant::info(format);
    const size_t blocks = values.size() / info.blockValues;
    std::vector<std::byte> bytes(blocks * info.blockBytes);
    info.encode(values.data(), blocks, bytes.data());
    return bytes;
}

bool holds(quant::Format format, std::span<const float> values) {
    const quant::FormatInfo& info = quant::info(format);
    std::vector<std::byte> bytes(values.size() * info.blockBytes);
    std::vector<float> back(values.size());
    info.encode(values.data(), values.size(), bytes.data());
    info.decode(bytes.data(), values.size(), back.data());
    return std::ranges::equal(back, values);
}

std::vector<float> decoded(const kernels::MatrixView& matrix) {
    const quant::FormatInfo& format = quant::info(matrix.format);
    std::vector<float> out(size_t{matrix.rows} * matrix.cols);
    for (size_t row = 0; row < matrix.rows; ++row)
        format.decode(matrix.data + row * matrix.stride, matrix.cols / format.blockValues,
                      &out[row * matrix.cols]);
    return out;
}

}  // namespace conclave::engine::offline
