#include "engine/residency/plan.h"

#include <cstdio>
#include <string>
#include <unordered_set>
#include <utility>

#include "engine/kernels/layout.h"

namespace conclave::engine::residency {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::shapeText;
using formats::TensorDirectory;
using formats::TensorInfo;
using quant::Format;

constexpr uint64_t kAlignment = 64;

uint64_t aligned(uint64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

Result<const TensorInfo*> find(const TensorDirectory& tensors, const std::string& name,
                               const std::vector<uint64_t>& shape) {
    const TensorInfo* tensor = tensors.find(name);
    if (tensor == nullptr) {
        const std::string file = tensors.all().empty() ? "" : tensors.all().front().file;
        return Error{Code::MissingTensor, file, name, {}};
    }
    if (tensor->shape != shape)
        return Error{Code::TensorShape, tensor->file, name, {shapeText(tensor->shape), shapeText(shape)}};
    return tensor;
}

/// The block scales of an FP8 tensor of rows * cols values: present, of the right shape, floats.
Result<void> checkScales(const TensorDirectory& tensors, const std::string& name, uint64_t scaleRows,
                         uint64_t scaleCols) {
    CONCLAVE_TRY(const TensorInfo* scales, find(tensors, scalesName(name), {scaleRows, scaleCols}));
    if (scales->format != Format::F32 && scales->format != Format::BF16 && scales->format != Format::F16)
        return Error{Code::TensorFormat,
                     scales->file,
                     scales->name,
                     {std::string(quant::info(scales->format).name), "block scales are F32, F16 or BF16"}};
    return {};
}

/// Checks the tensors behind a request and says in which one format they are stored.
Result<Format> checkStored(const TensorDirectory& tensors, const Request& request,
                           const PlanOptions& options) {
    Format stored = Format::F32;
    for (size_t i = 0; i < request.tensors.size(); ++i) {
        const std::string& name = request.tensors[i];
        CONCLAVE_TRY(const TensorInfo* tensor, find(tensors, name, request.shape));
        const quant::FormatInfo& format = quant::info(tensor->format);
        if (format.decode == nullptr)
            return Error{
                Code::TensorFormat, tensor->file, name, {std::string(format.name), "weights are floats"}};
        if (i > 0 && tensor->format != stored)
            return Error{Code::TensorFormat,
                         tensor->file,
                         name,
                         {std::string(format.name), "the experts of a layer share one format, " +
                                                        std::string(quant::info(stored).name)}};
        if (quant::rowBytes(tensor->format, request.cols) == 0)
            return Error{Code::TensorFormat,
                         tensor->file,
                         name,
                         {std::string(format.name),
                          "its blocks do not divide rows of " + std::to_string(request.cols)}};
        stored = tensor->format;
        if (stored == Format::F8E4M3) {
            if (request.shape.size() != 2)
                return Error{
                    Code::TensorFormat, tensor->file, name, {"F8E4M3", "only matrices have block scales"}};
            CONCLAVE_TRY_VOID(checkScales(tensors, name,
                                          (request.shape[0] + options.blockRows - 1) / options.blockRows,
                                          (request.shape[1] + options.blockCols - 1) / options.blockCols));
        }
    }
    return stored;
}

Place placeOf(Request request, size_t index, Format stored, const PlanOptions& options) {
    Place place;
    place.stored = stored;
    place.format = request.keep == Keep::AsStored ? stored : request.target;
    place.matrices = request.matrices;
    place.rows = request.rows;
    place.cols = request.cols;
    if (request.keep == Keep::Slices) place.rows = request.count;
    if (request.keep == Keep::TransposedSlices) {
        place.rows = request.cols;
        place.cols = request.count;
    }
    if (place.format == Format::F8E4M3) {
        place.scaleRows = (place.rows + options.blockRows - 1) / options.blockRows;
        place.scaleCols = (place.cols + options.blockCols - 1) / options.blockCols;
        place.scalesStride = aligned(uint64_t{place.scaleRows} * place.scaleCols * sizeof(float));
    }
    if (options.layout) place.layout = options.layout(index, place.format);
    place.rowStride = kernels::matrixStride(place.layout, place.format, place.cols);
    place.matrixStride = aligned(kernels::matrixBytes(place.layout, place.format, place.rows, place.cols));
    place.request = std::move(request);
    return place;
}

}  // namespace

std::string scalesName(std::string_view name) {
    return std::string(name) + "_scale_inv";
}

Result<Plan> makePlan(const TensorDirectory& tensors, std::vector<Request> requests,
                      const PlanOptions& options) {
    Plan plan;
    plan.blockRows = options.blockRows;
    plan.blockCols = options.blockCols;
    std::unordered_set<std::string> used;
    for (Request& request : requests) {
        CONCLAVE_CHECK(!request.tensors.empty());
        CONCLAVE_CHECK(request.tensors.size() == 1 || request.tensors.size() == request.matrices);
        CONCLAVE_TRY(const Format stored, checkStored(tensors, request, options));
        for (const std::string& name : request.tensors) {
            used.insert(name);
            if (stored == Format::F8E4M3) used.insert(scalesName(name));
        }
        Place place = placeOf(std::move(request), plan.places.size(), stored, options);
        CONCLAVE_CHECK(place.rowStride > 0);
        place.offset = plan.bytes;
        plan.bytes += place.matrixStride * place.matrices;
        place.scalesOffset = plan.bytes;
        plan.bytes += place.scalesStride * place.matrices;
        plan.places.push_back(std::move(place));
    }
    for (const TensorInfo& tensor : tensors.all()) {
        if (used.count(tensor.name) > 0) continue;
        if (!options.leftOver || !options.leftOver(tensor.name))
            return Error{Code::UnusedTensor, tensor.file, tensor.name, {}};
        plan.skipped.push_back(tensor.name);
    }
    return plan;
}

std::string describe(const Plan& plan) {
    std::string out;
    char line[256];
    for (const Place& place : plan.places) {
        std::string formats(quant::info(place.stored).name);
        if (place.format != place.stored) formats += " -> " + std::string(quant::info(place.format).name);
        if (place.layout == kernels::Layout::Stripes16) formats += " in stripes";
        const uint64_t bytes = (place.matrixStride + place.scalesStride) * place.matrices;
        std::snprintf(line, sizeof line, "%-40s %6u x [%u][%u] %s, memory at %llu, %llu bytes\n",
                      place.request.purpose.c_str(), place.matrices, place.rows, place.cols, formats.c_str(),
                      static_cast<unsigned long long>(place.offset), static_cast<unsigned long long>(bytes));
        out += line;
    }
    for (const std::string& name : plan.skipped)
        out += name + " skipped\n";
    std::snprintf(line, sizeof line, "in all %llu bytes\n", static_cast<unsigned long long>(plan.bytes));
    return out + line;
}

}  // namespace conclave::engine::residency
