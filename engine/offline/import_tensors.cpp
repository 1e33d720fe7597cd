#include "engine/offline/import_tensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "engine/model/family.h"
#include "engine/model/gguf_keys.h"
#include "engine/model/gguf_tensor.h"
#include "engine/model/outline.h"
#include "engine/model/rope.h"
#include "engine/offline/encoding.h"
#include "engine/residency/plan.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::HfFolder;
using formats::TensorInfo;
using model::ModelConfig;
using model::Role;
using quant::Format;
using residency::Keep;
using residency::Place;
using Sink = std::function<Result<void>(std::span<const std::byte>)>;

constexpr size_t kPieceBytes = size_t{4} << 20;
constexpr size_t kPieceValues = size_t{1} << 18;

/// Everything that the bytes of one tensor are made from.
struct Job {
    const HfFolder* folder;
    Place place;
    Format target;
    std::string name;  ///< in the GGUF file
    uint32_t heads =
        0;  ///< rows (or values of a vector) are put into rotated pairs, head by head; 0 = as they are
    uint32_t blockRows, blockCols;         ///< of FP8 scales
    const Additions* additions = nullptr;  ///< to its matrices; null = none
    model::MatrixId id = model::MatrixId::None;
};

/// GGUF's Llama rotates neighbours, Hugging Face's the halves of a head: where the value at `index` of `size`
/// comes from.
size_t pairedSource(size_t index, size_t size, uint32_t heads) {
    const size_t head = size / heads, within = index % head;
    return index - within + within % 2 * (head / 2) + within / 2;
}

/// Rows of a matrix in the folder as floats, FP8 with its block scales.
class RowReader {
  public:
    RowReader(const Job& job, const std::string& name)
        : job_(job), tensor_(*job.folder->tensors.find(name)), cols_(job.place.request.cols),
          rowBytes_(quant::rowBytes(tensor_.format, cols_)) {
        if (tensor_.format != Format::F8E4M3) return;
        const TensorInfo& scales = *job.folder->tensors.find(residency::scalesName(name));
        scaleCols_ = scales.shape.back();
        scales_.resize(scales.bytes.size() / quant::info(scales.format).blockBytes);
        quant::info(scales.format).decode(scales.bytes.data(), scales_.size(), scales_.data());
    }

    void read(size_t row, float* out) const {
        const quant::FormatInfo& format = quant::info(tensor_.format);
        format.decode(tensor_.bytes.data() + row * rowBytes_, cols_ / format.blockValues, out);
        if (scales_.empty()) return;
        const float* scales = scales_.data() + row / job_.blockRows * scaleCols_;
        for (size_t col = 0; col < cols_; ++col)
            out[col] *= scales[col / job_.blockCols];
    }

    std::span<const std::byte> bytes() const { return tensor_.bytes; }
    const TensorInfo& tensor() const { return tensor_; }

  private:
    const Job& job_;
    const TensorInfo& tensor_;
    size_t cols_;
    uint64_t rowBytes_;
    size_t scaleCols_ = 0;
    std::vector<float> scales_;
};

/// Encodes whole rows and hands them on.
Result<void> encode(const Job& job, const TensorInfo& source, std::span<const float> values,
                    const Sink& sink) {
    CONCLAVE_TRY(const std::vector<std::byte> bytes, encoded(values, job.target, source.file, source.name));
    return sink(bytes);
}

Result<void> copyBytes(const Job& job, std::span<const std::byte> bytes, const Sink& sink) {
    for (size_t at = 0; at < bytes.size(); at += kPieceBytes) {
        const std::span<const std::byte> piece = bytes.subspan(at, std::min(kPieceBytes, bytes.size() - at));
        CONCLAVE_TRY_VOID(sink(piece));
        job.folder->tensors.giveBack(piece);
    }
    return {};
}

/// One matrix [rows][cols] of the result whose rows are rows of the folder's, the first of them `firstRow`.
Result<void> writeRows(const Job& job, const RowReader& reader, size_t firstRow, const AddedMatrix* added,
                       const Sink& sink) {
    const size_t rows = job.place.rows, cols = job.place.cols;
    const bool vector = job.place.request.shape.size() == 1;
    const size_t step = std::max<size_t>(1, kPieceValues / cols);
    std::vector<float> values, paired;
    for (size_t row = 0; row < rows; row += step) {
        const size_t count = std::min(step, rows - row);
        values.resize(count * cols);
        for (size_t i = 0; i < count; ++i) {
            const size_t from = job.heads > 0 && !vector ? pairedSource(row + i, rows, job.heads) : row + i;
            reader.read(firstRow + from, values.data() + i * cols);
            if (added != nullptr)
                added->addRow(static_cast<uint32_t>(from), std::span(values).subspan(i * cols, cols));
        }
        if (job.heads > 0 && vector) {
            paired.resize(cols);
            for (size_t i = 0; i < cols; ++i)
                paired[i] = values[pairedSource(i, cols, job.heads)];
            values.swap(paired);
        }
        CONCLAVE_TRY_VOID(encode(job, reader.tensor(), values, sink));
    }
    return {};
}

/// One matrix [cols of the folder][count rows of it]: a head's key half of kv_b.
Result<void> writeTransposed(const Job& job, const RowReader& reader, size_t firstRow,
                             const AddedMatrix* added, const Sink& sink) {
    const size_t rows = job.place.rows, cols = job.place.cols;
    std::vector<float> row(rows), values(rows * cols);
    for (size_t col = 0; col < cols; ++col) {
        reader.read(firstRow + col, row.data());
        if (added != nullptr) added->addColumn(static_cast<uint32_t>(col), row);
        for (size_t i = 0; i < rows; ++i)
            values[i * cols + col] = row[i];
    }
    return encode(job, reader.tensor(), values, sink);
}

Result<void> writeTensor(const Job& job, const Sink& sink) {
    const residency::Request& request = job.place.request;
    const bool sliced = request.keep == Keep::Slices || request.keep == Keep::TransposedSlices;
    const bool changed = job.additions != nullptr && job.additions->touch(job.id);
    for (uint32_t matrix = 0; matrix < job.place.matrices; ++matrix) {
        std::optional<AddedMatrix> part;
        if (changed) part = job.additions->of(job.id, matrix);
        const AddedMatrix* added = part ? &*part : nullptr;
        const RowReader reader(job, request.tensors[request.tensors.size() > 1 ? matrix : 0]);
        const size_t first = sliced ? size_t{matrix} * request.period + request.first : 0;
        const bool asStored = !changed && !sliced && job.heads == 0 && reader.tensor().format == job.target;
        if (asStored)
            CONCLAVE_TRY_VOID(copyBytes(job, reader.bytes(), sink));
        else if (request.keep == Keep::TransposedSlices)
            CONCLAVE_TRY_VOID(writeTransposed(job, reader, first, added, sink));
        else
            CONCLAVE_TRY_VOID(writeRows(job, reader, first, added, sink));
        if (!sliced || matrix + 1 == job.place.matrices) job.folder->tensors.giveBack(reader.bytes());
    }
    if (!job.folder->tensors.unchanged()) return Error{Code::FileChanged, job.folder->path, "", {}};
    return {};
}

/// Llama 3's scaling as GGUF has it: what each inverse frequency is divided by.
formats::GgufWriteTensor ropeDivisors(const ModelConfig& c) {
    const std::vector<double> frequencies = model::inverseFrequencies(c.rope);
    std::vector<float> divisors;
    for (size_t i = 0; i < frequencies.size(); ++i) {
        const double plain = std::pow(c.rope.theta, -2.0 * static_cast<double>(i) / c.rope.dim);
        divisors.push_back(static_cast<float>(plain / frequencies[i]));
    }
    return {"rope_freqs.weight", Format::F32, {divisors.size()}, [divisors](const Sink& sink) {
                return sink(std::as_bytes(std::span(divisors)));
            }};
}

Format float32(Format) {
    return Format::F32;
}

}  // namespace

// Norms, biases and what chooses experts stay float32: they are small, and a rounded choice is another
// choice. What makes the logits gets eight bits where the others get four: its errors reach every token.
Format importFormat(Role role, const Place& place, const ModelConfig& config, std::optional<Format> quant) {
    if (place.request.shape.size() == 1 || role == Role::Router || role == Role::RouterBias)
        return Format::F32;
    if (!quant) return place.stored == Format::F8E4M3 ? Format::F32 : place.stored;
    const bool logits = role == Role::Head || (role == Role::Embedding && config.tiedEmbeddings);
    return *quant == Format::Q4_0 && logits ? Format::Q8_0 : *quant;
}

Result<ImportTensors> importTensors(const HfFolder& folder, const ModelConfig& config,
                                    std::optional<Format> quant, const Additions* additions) {
    const model::Family& family = model::familyOf(config);
    model::TensorList list(folder.tensors, model::Naming::HuggingFace, family.names, float32);
    family.build(config, list);
    const residency::PlanOptions options{
        config.scaleBlockRows, config.scaleBlockCols,
        [&](std::string_view name) { return model::isLeftOver(name, config, list); }};
    CONCLAVE_TRY(residency::Plan plan, residency::makePlan(folder.tensors, list.requests(), options));

    ImportTensors out;
    out.skipped = std::move(plan.skipped);
    const bool paired = model::ggufArchitecture(config) == "llama";
    if (config.rope.scaling == model::RopeConfig::Scaling::Llama3)
        out.tensors.push_back(ropeDivisors(config));
    for (size_t i = 0; i < plan.places.size(); ++i) {
        const Role role = list.roles()[i];
        auto job = std::make_shared<Job>();
        job->folder = &folder;
        job->place = std::move(plan.places[i]);
        job->blockRows = plan.blockRows;
        job->blockCols = plan.blockCols;
        model::GgufTensor tensor = model::ggufTensor(family, role, job->place.request);
        job->name = std::move(tensor.name);
        if (paired && (role == Role::Query || role == Role::QueryBias)) job->heads = config.heads;
        if (paired && (role == Role::Key || role == Role::KeyBias)) job->heads = config.kvHeads;
        job->target = importFormat(role, job->place, config, quant);
        job->id = model::MatrixId{static_cast<uint32_t>(i)};
        if (quant::rowBytes(job->target, job->place.cols) == 0) {
            job->target = Format::F16;
            out.fallbacks.push_back(job->name);
        }
        // What adapters do to the logits of a table that is shared must not reach the embedding.
        if (role == Role::Embedding && config.tiedEmbeddings && additions != nullptr &&
            additions->touch(job->id)) {
            auto head = std::make_shared<Job>(*job);
            head->additions = additions;
            head->name = model::ggufTensor(family, Role::Head, head->place.request).name;
            out.tensors.push_back({head->name, head->target, tensor.shape,
                                   [head](const Sink& sink) { return writeTensor(*head, sink); }});
        } else {
            job->additions = additions;
        }
        out.tensors.push_back({job->name, job->target, std::move(tensor.shape),
                               [job](const Sink& sink) { return writeTensor(*job, sink); }});
    }
    return out;
}

}  // namespace conclave::engine::offline
