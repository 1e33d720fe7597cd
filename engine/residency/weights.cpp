#include "engine/residency/weights.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/kernels/layout.h"

namespace conclave::engine::residency {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::TensorDirectory;
using formats::TensorInfo;
using quant::Format;

constexpr uint64_t kChunk = uint64_t{4} << 20;  // bytes that the team copies between two reports

/// Copies and decodes one plan's tensors and counts what it has done.
class Copier {
  public:
    Copier(const Plan& plan, const TensorDirectory& tensors, std::byte* memory, platform::Team& team,
           const std::function<void(uint64_t, uint64_t)>& progress)
        : plan_(plan), tensors_(tensors), memory_(memory), team_(team), progress_(progress) {}

    void copy(const Place& place) {
        const std::vector<std::string>& names = place.request.tensors;
        const uint32_t each = place.matrices / static_cast<uint32_t>(names.size());
        for (uint32_t i = 0; i < names.size(); ++i) {
            const TensorInfo& tensor = *tensors_.find(names[i]);
            std::byte* out = memory_ + place.offset + i * each * place.matrixStride;
            const bool whole = place.request.keep == Keep::AsStored || place.request.keep == Keep::Converted;
            if (whole && place.format == place.stored)
                copyBytes(place, tensor, each, out);
            else
                convert(place, tensor, each, out);
            if (place.format == Format::F8E4M3) copyScales(place, tensor, i * each);
        }
    }

  private:
    /// The file's rows, in the place's layout; only the padding is ours.
    void copyBytes(const Place& place, const TensorInfo& tensor, uint32_t matrices, std::byte* out) {
        const uint64_t matrixBytes = quant::rowBytes(place.format, place.cols) * place.rows;
        for (uint32_t m = 0; m < matrices; ++m) {
            const std::span<const std::byte> from = tensor.bytes.subspan(m * matrixBytes, matrixBytes);
            if (place.layout == kernels::Layout::Plain)
                copyPlain(from, out + m * place.matrixStride);
            else
                layOut(place, from, out + m * place.matrixStride);
        }
    }

    void copyPlain(std::span<const std::byte> from, std::byte* out) {
        for (uint64_t at = 0; at < from.size(); at += kChunk) {
            const auto piece = from.subspan(at, std::min(kChunk, from.size() - at));
            tensors_.need(piece);
            team_.run([&](size_t worker, size_t workers) {
                const platform::Range share = platform::share(piece.size(), worker, workers, 4096);
                std::memcpy(out + at + share.begin, piece.data() + share.begin, share.end - share.begin);
            });
            done(piece);
        }
    }

    void layOut(const Place& place, std::span<const std::byte> from, std::byte* out) {
        const uint64_t rowBytes = from.size() / place.rows;
        const uint32_t together = kernels::layoutRows(place.layout);
        const auto most =
            static_cast<uint32_t>(std::max<uint64_t>(1, kChunk / rowBytes / together)) * together;
        for (uint32_t r = 0; r < place.rows; r += most) {
            const uint32_t rows = std::min(most, place.rows - r);
            const auto piece = from.subspan(r * rowBytes, rows * rowBytes);
            tensors_.need(piece);
            team_.run([&](size_t worker, size_t workers) {
                const platform::Range share = platform::share(rows, worker, workers, together);
                kernels::layOut(place.layout, place.format, piece.data() + share.begin * rowBytes, rowBytes,
                                static_cast<uint32_t>(share.end - share.begin), place.cols,
                                out + (r + share.begin) / together * place.rowStride);
            });
            done(piece);
        }
    }

    /// These bytes of the file are not needed any more.
    void done(std::span<const std::byte> piece) {
        tensors_.giveBack(piece);
        report(piece.size());
    }

    /// Row `row` of `tensor` as floats.
    void decodeRow(const TensorInfo& tensor, const std::vector<float>& scales, uint64_t row, uint32_t cols,
                   float* out) const {
        const quant::FormatInfo& format = quant::info(tensor.format);
        format.decode(tensor.bytes.data() + row * quant::rowBytes(tensor.format, cols),
                      cols / format.blockValues, out);
        if (scales.empty()) return;
        const uint32_t scaleCols = (cols + plan_.blockCols - 1) / plan_.blockCols;
        const float* scale = scales.data() + row / plan_.blockRows * scaleCols;
        for (uint32_t c = 0; c < cols; ++c)
            out[c] *= scale[c / plan_.blockCols];
    }

    /// The block scales of an FP8 tensor as floats; empty for other formats.
    std::vector<float> scalesOf(const TensorInfo& tensor) const {
        if (tensor.format != Format::F8E4M3) return {};
        const TensorInfo& scales = *tensors_.find(scalesName(tensor.name));
        std::vector<float> out(scales.shape[0] * scales.shape[1]);
        quant::info(scales.format).decode(scales.bytes.data(), out.size(), out.data());
        return out;
    }

    /// Decodes matrix by matrix and encodes to the wanted format: Converted, Slices and TransposedSlices.
    void convert(const Place& place, const TensorInfo& tensor, uint32_t matrices, std::byte* out) {
        const Request& request = place.request;
        const bool sliced = request.keep != Keep::Converted,
                   transposed = request.keep == Keep::TransposedSlices;
        const uint32_t taken = sliced ? request.count : place.rows;
        const uint32_t period = sliced ? request.period : place.rows, first = sliced ? request.first : 0;
        const quant::FormatInfo& format = quant::info(place.format);
        tensors_.need(tensor.bytes);
        const std::vector<float> scales = scalesOf(tensor);
        std::vector<float> row(request.cols), values(uint64_t{place.rows} * place.cols);
        std::vector<std::byte> encoded;
        for (uint32_t m = 0; m < matrices; ++m) {
            for (uint32_t r = 0; r < taken; ++r) {
                decodeRow(tensor, scales, uint64_t{m} * period + first + r, request.cols, row.data());
                for (uint32_t c = 0; c < request.cols; ++c)
                    values[transposed ? uint64_t{c} * place.cols + r : uint64_t{r} * place.cols + c] = row[c];
            }
            std::byte* matrix = out + m * place.matrixStride;
            const uint64_t rowBytes = quant::rowBytes(place.format, place.cols),
                           bytes = rowBytes * place.rows;
            if (place.layout == kernels::Layout::Plain) {
                format.encode(values.data(), values.size() / format.blockValues, matrix);
            } else {
                encoded.resize(bytes);
                format.encode(values.data(), values.size() / format.blockValues, encoded.data());
                kernels::layOut(place.layout, place.format, encoded.data(), rowBytes, place.rows, place.cols,
                                matrix);
            }
            report(bytes);
        }
        tensors_.giveBack(tensor.bytes);
    }

    void copyScales(const Place& place, const TensorInfo& tensor, uint32_t matrix) {
        const std::vector<float> scales = scalesOf(tensor);
        std::memcpy(memory_ + place.scalesOffset + matrix * place.scalesStride, scales.data(),
                    scales.size() * sizeof(float));
    }

    void report(uint64_t bytes) {
        done_ += bytes;
        if (progress_) progress_(std::min(done_, plan_.bytes), plan_.bytes);
    }

    const Plan& plan_;
    const TensorDirectory& tensors_;
    std::byte* memory_;
    platform::Team& team_;
    const std::function<void(uint64_t, uint64_t)>& progress_;
    uint64_t done_ = 0;
};

}  // namespace

kernels::MatrixView Weights::matrix(size_t index, uint32_t part) const {
    const Place& place = places_[index];
    CONCLAVE_CHECK(part < place.matrices);
    kernels::MatrixView view;
    view.format = place.format;
    view.layout = place.layout;
    view.rows = place.rows;
    view.cols = place.cols;
    view.stride = place.rowStride;
    view.data = memory_.data() + place.offset + part * place.matrixStride;
    if (place.format == Format::F8E4M3) {
        view.scales =
            reinterpret_cast<const float*>(memory_.data() + place.scalesOffset + part * place.scalesStride);
        view.scaleRows = blockRows_;
        view.scaleCols = blockCols_;
        view.scaleStride = place.scaleCols;
    }
    return view;
}

const float* Weights::vector(size_t index) const {
    const Place& place = places_[index];
    CONCLAVE_CHECK(place.format == Format::F32);
    return reinterpret_cast<const float*>(memory_.data() + place.offset);
}

Result<Weights> loadWeights(const Plan& plan, const TensorDirectory& tensors, platform::Team& team,
                            const std::function<void(uint64_t done, uint64_t total)>& progress) {
    Weights out;
    out.places_ = plan.places;
    out.blockRows_ = plan.blockRows;
    out.blockCols_ = plan.blockCols;
    CONCLAVE_TRY(out.memory_, platform::Memory::allocate(plan.bytes, "the weights"));
    Copier copier(plan, tensors, out.memory_.data(), team, progress);
    for (const Place& place : plan.places)
        copier.copy(place);
    if (!tensors.unchanged()) {
        const std::string file = tensors.all().empty() ? "" : tensors.all().front().file;
        return Error{Code::FileChanged, file, "", {}};
    }
    if (progress) progress(plan.bytes, plan.bytes);
    return out;
}

}  // namespace conclave::engine::residency
