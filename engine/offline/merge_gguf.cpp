#include "engine/offline/merge_gguf.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "engine/formats/gguf.h"
#include "engine/model/gguf_keys.h"
#include "engine/model/outline.h"
#include "engine/offline/encoding.h"
#include "engine/offline/import_tensors.h"
#include "engine/synth/synth.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::GgufFile;
using formats::GgufScalar;
using formats::GgufWriteTensor;
using formats::TensorInfo;
using model::MatrixId;
using model::Role;
using quant::Format;
using residency::Keep;
using residency::Place;
using Sink = std::function<Result<void>(std::span<const std::byte>)>;

constexpr size_t kPieceBytes = size_t{4} << 20;
constexpr size_t kPieceValues = size_t{1} << 18;

/// Everything that the bytes of one tensor are made from.
struct Job {
    const GgufFile* file = nullptr;
    const TensorInfo* tensor = nullptr;
    Format target = Format::F32;
    const Additions* additions = nullptr;  ///< to the matrices below; null = none
    MatrixId id = MatrixId::None;          ///< of the tensor; the value half where it is kv_b whole
    uint32_t firstPart = 0;                ///< that the tensor is: some files have one for every expert
    MatrixId keyHalf = MatrixId::None;     ///< of kv_b whole
    uint32_t period = 0, keyRows = 0;      ///< rows of a head of kv_b, and of its key half
};

/// What is added to the rows of one tensor, matrix by matrix.
class RowAdder {
  public:
    explicit RowAdder(const Job& job) : job_(job) {}

    /// Row `row` of matrix `matrix` of the tensor.
    void add(uint32_t matrix, uint32_t row, std::span<float> values) {
        if (job_.period == 0) return part(job_.id, job_.firstPart + matrix).addRow(row, values);
        const uint32_t head = row / job_.period, within = row % job_.period;
        if (within < job_.keyRows) return part(job_.keyHalf, head).addColumn(within, values);
        part(job_.id, head).addRow(within - job_.keyRows, values);
    }

  private:
    const AddedMatrix& part(MatrixId id, uint32_t number) {
        if (!added_ || id != id_ || number != number_) added_ = job_.additions->of(id, number);
        id_ = id;
        number_ = number;
        return *added_;
    }

    const Job& job_;
    std::optional<AddedMatrix> added_;
    MatrixId id_ = MatrixId::None;
    uint32_t number_ = 0;
};

Result<void> copyBytes(const Job& job, const Sink& sink) {
    const std::span<const std::byte> bytes = job.tensor->bytes;
    for (size_t at = 0; at < bytes.size(); at += kPieceBytes) {
        const auto piece = bytes.subspan(at, std::min(kPieceBytes, bytes.size() - at));
        job.file->tensors().need(piece);
        CONCLAVE_TRY_VOID(sink(piece));
        job.file->tensors().giveBack(piece);
    }
    return {};
}

/// Decodes rows, adds to them, encodes them.
Result<void> convert(const Job& job, const Sink& sink) {
    const TensorInfo& tensor = *job.tensor;
    const quant::FormatInfo& format = quant::info(tensor.format);
    const size_t cols = tensor.shape.back(), rowBytes = quant::rowBytes(tensor.format, cols);
    const size_t rows = tensor.bytes.size() / rowBytes, step = std::max<size_t>(1, kPieceValues / cols);
    const size_t perMatrix = tensor.shape.size() > 1 ? tensor.shape[tensor.shape.size() - 2] : 1;
    RowAdder adder(job);
    std::vector<float> values;
    for (size_t row = 0; row < rows; row += step) {
        const size_t count = std::min(step, rows - row);
        const auto piece = tensor.bytes.subspan(row * rowBytes, count * rowBytes);
        values.resize(count * cols);
        job.file->tensors().need(piece);
        format.decode(piece.data(), values.size() / format.blockValues, values.data());
        job.file->tensors().giveBack(piece);
        for (size_t i = 0; job.additions != nullptr && i < count; ++i)
            adder.add(static_cast<uint32_t>((row + i) / perMatrix),
                      static_cast<uint32_t>((row + i) % perMatrix),
                      std::span(values).subspan(i * cols, cols));
        CONCLAVE_TRY(const std::vector<std::byte> bytes,
                     encoded(values, job.target, tensor.file, tensor.name));
        CONCLAVE_TRY_VOID(sink(bytes));
    }
    return {};
}

Result<void> writeTensor(const Job& job, const Sink& sink) {
    if (job.additions == nullptr && job.target == job.tensor->format)
        CONCLAVE_TRY_VOID(copyBytes(job, sink));
    else
        CONCLAVE_TRY_VOID(convert(job, sink));
    if (!job.file->tensors().unchanged()) return Error{Code::FileChanged, job.file->path(), "", {}};
    return {};
}

/// Which places of the outline a tensor of the file is, and which matrix of them it begins with.
struct Owner {
    size_t place = 0;
    uint32_t firstPart = 0;
};
using Owners = std::map<std::string, std::vector<Owner>, std::less<>>;

Owners ownersOf(const residency::Plan& plan) {
    Owners owners;
    for (size_t i = 0; i < plan.places.size(); ++i)
        for (uint32_t part = 0; part < plan.places[i].request.tensors.size(); ++part)
            owners[plan.places[i].request.tensors[part]].push_back({i, part});
    return owners;
}

class Merger {
  public:
    Merger(const GgufFile& file, const model::Outline& outline, const Additions& additions, Format quant)
        : file_(file), outline_(outline), additions_(additions), quant_(quant) {}

    std::vector<GgufWriteTensor> tensors(ImportReport& report) const {
        const Owners owners = ownersOf(outline_.plan);
        std::vector<GgufWriteTensor> out;
        for (const TensorInfo& tensor : file_.tensors().all()) {
            const auto owned = owners.find(tensor.name);
            if (owned == owners.end()) {
                addUnowned(tensor, out, report);
                continue;
            }
            addOwned(tensor, owned->second, out, report);
        }
        return out;
    }

  private:
    /// kv_b whole beside its halves would be stale; the rest is for other readers.
    void addUnowned(const TensorInfo& tensor, std::vector<GgufWriteTensor>& out, ImportReport& report) const {
        if (model::matchName("blk.{layer}.attn_kv_b.weight", tensor.name))
            report.skipped.push_back(tensor.name);
        else
            write(tensor.name, {.file = &file_, .tensor = &tensor, .target = tensor.format}, out);
    }

    void addOwned(const TensorInfo& tensor, const std::vector<Owner>& owned,
                  std::vector<GgufWriteTensor>& out, ImportReport& report) const {
        const Place& place = outline_.plan.places[owned.back().place];
        const Role role = outline_.matrices.matrices[owned.back().place].role;
        Job job{.file = &file_, .tensor = &tensor, .firstPart = owned.back().firstPart};
        job.target = importFormat(role, place, outline_.config, quant_);
        if (quant::rowBytes(job.target, tensor.shape.back()) == 0) {
            job.target = Format::F16;
            report.fallbacks.push_back(tensor.name);
        }
        for (const Owner& owner : owned) {
            const MatrixId id{static_cast<uint32_t>(owner.place)};
            (outline_.plan.places[owner.place].request.keep == Keep::TransposedSlices ? job.keyHalf
                                                                                      : job.id) = id;
            if (additions_.touch(id)) job.additions = &additions_;
        }
        if (place.request.keep == Keep::Slices) {
            job.period = place.request.period;
            job.keyRows = place.request.first;
        }
        // What adapters do to the logits of a table that is shared must not reach the embedding.
        if (role == Role::Embedding && job.additions != nullptr) {
            write("output.weight", job, out);
            job.additions = nullptr;
        }
        write(tensor.name, job, out);
    }

    static void write(const std::string& name, const Job& what, std::vector<GgufWriteTensor>& out) {
        const auto job = std::make_shared<const Job>(what);
        out.push_back({name, job->target, job->tensor->shape,
                       [job](const Sink& sink) { return writeTensor(*job, sink); }});
    }

    const GgufFile& file_;
    const model::Outline& outline_;
    const Additions& additions_;
    Format quant_;
};

/// The file's keys, with those that say how its weights are stored made anew.
formats::GgufMetadata keysOf(const GgufFile& file, const std::string& architecture, Format mostly) {
    formats::GgufMetadata out{{"general.architecture", GgufScalar(architecture)}};
    if (const std::optional<uint32_t> type = model::ggufFileType(mostly))
        out.emplace_back("general.file_type", GgufScalar(*type));
    out.emplace_back("general.quantization_version", GgufScalar(model::kGgufQuantizationVersion));
    for (const auto& [key, value] : file.metadata()) {
        const bool ours = key == "general.architecture" || key == "general.file_type" ||
                          key == "general.quantization_version" || key == "general.alignment" ||
                          key.starts_with("split.");
        if (!ours) out.emplace_back(key, value);
    }
    return out;
}

}  // namespace

Result<ImportReport> mergeGguf(const MergeOptions& options, const Additions& additions,
                               const std::function<void(uint64_t done, uint64_t total)>& progress) {
    CONCLAVE_TRY(const GgufFile file, synth::openGguf(options.model));
    CONCLAVE_TRY(const model::Outline outline, model::outlineOf(file));
    ImportReport report;
    report.destination = options.destination;
    CONCLAVE_TRY(report.architecture, file.text("general.architecture"));
    report.warnings = outline.config.warnings;
    const std::vector<GgufWriteTensor> tensors =
        Merger(file, outline, additions, options.quant).tensors(report);
    describeTensors(tensors, report);
    CONCLAVE_TRY_VOID(formats::writeGguf(
        options.destination, keysOf(file, report.architecture, options.quant), tensors, progress));
    return report;
}

}  // namespace conclave::engine::offline
