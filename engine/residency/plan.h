#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/tensor_directory.h"
#include "engine/kernels/kernels.h"
#include "engine/quant/format.h"

namespace conclave::engine::residency {

/// How a request's values are kept in memory.
enum class Keep : uint8_t {
    AsStored,   ///< the file's bytes; FP8 stays FP8 with its block scales
    Converted,  ///< decoded, then encoded to Request::target
    Slices,     ///< of every `period` rows, `count` from `first` on: one matrix a period; then as Converted
    TransposedSlices,  ///< the same, each slice with rows and columns exchanged
};

/// What somebody who knows the architecture wants in memory: `matrices` matrices of [rows][cols], or for the
/// slices one matrix of [matrices * period][cols] that is cut. A vector is one matrix of one row.
struct Request {
    std::string purpose;               ///< for people: "layer 3 key half of kv_b"
    std::vector<std::string> tensors;  ///< names in the file; several are stacked, one matrix each
    std::vector<uint64_t> shape;       ///< that each of them must have, outermost first
    uint32_t matrices = 1, rows = 0, cols = 0;
    Keep keep = Keep::AsStored;
    quant::Format target = quant::Format::F32;
    uint32_t period = 0, first = 0, count = 0;  ///< slices only
};

/// Where one request lies. Matrix m begins at offset + m * matrixStride, its rows (or stripes, as the layout
/// says) `rowStride` apart; offsets are bytes from the start of the weights' memory and multiples of 64.
struct Place {
    Request request;
    quant::Format stored = quant::Format::F32;  ///< format in the file
    quant::Format format = quant::Format::F32;  ///< format in memory
    kernels::Layout layout = kernels::Layout::Plain;
    uint32_t matrices = 0, rows = 0, cols = 0;  ///< in memory
    uint64_t rowStride = 0, matrixStride = 0, offset = 0;
    /// FP8 only: float32 scales of matrix m at scalesOffset + m * scalesStride, [scaleRows][scaleCols].
    uint64_t scalesOffset = 0, scalesStride = 0;
    uint32_t scaleRows = 0, scaleCols = 0;
};

/// Everything a model keeps in memory, before anything is copied.
struct Plan {
    std::vector<Place> places;              ///< in the order of the requests
    uint64_t bytes = 0;                     ///< of memory
    uint32_t blockRows = 0, blockCols = 0;  ///< values that one FP8 scale covers
    std::vector<std::string> skipped;       ///< tensors of the file that are known left-overs
};

struct PlanOptions {
    uint32_t blockRows = 128, blockCols = 128;            ///< FP8 scale blocks, from the configuration
    std::function<bool(std::string_view name)> leftOver;  ///< tensors that may lie unused in the file
    /// How request `index` is laid out once it is in this format; empty = all plain.
    std::function<kernels::Layout(size_t index, quant::Format format)> layout{};
};

/// The name of the tensor that holds the block scales of FP8 tensor `name`.
std::string scalesName(std::string_view name);

/// Pure: looks at names, shapes and formats only. Every tensor must be wanted by somebody or be a left-over.
/// Errors: MissingTensor, TensorShape, TensorFormat, UnusedTensor.
base::Result<Plan> makePlan(const formats::TensorDirectory& tensors, std::vector<Request> requests,
                            const PlanOptions& options);

/// One line a request: purpose, shape, formats, place and size; then the sum.
std::string describe(const Plan& plan);

}  // namespace conclave::engine::residency
