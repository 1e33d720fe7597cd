#include "engine/offline/synth.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>

#include "engine/formats/gguf.h"
#include "engine/offline/destination.h"
#include "engine/synth/synth.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using Sink = std::function<Result<void>(std::span<const std::byte>)>;

constexpr uint64_t kBufferBytes = uint64_t{4} << 20;

std::string inGiB(uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / static_cast<double>(1u << 30));
    return text;
}

/// Where the file system tells how much is free; where it does not, writing will.
Result<void> checkRoom(const std::string& path, uint64_t bytes) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    std::error_code failed;
    const auto space = std::filesystem::space(folder.empty() ? "." : folder, failed);
    if (failed || space.available >= bytes) return {};
    return Error{Code::FileWriteFailed,
                 path,
                 "",
                 {"it needs " + inGiB(bytes) + ", free are " + inGiB(space.available)}};
}

uint64_t bytesOf(const formats::GgufComputedTensor& tensor) {
    uint64_t bytes = quant::rowBytes(tensor.format, tensor.shape.back());
    for (size_t i = 0; i + 1 < tensor.shape.size(); ++i)
        bytes *= tensor.shape[i];
    return bytes;
}

Result<void> writeTensor(const formats::GgufComputedTensor& tensor, std::vector<std::byte>& buffer,
                         const Sink& sink) {
    const uint64_t size = bytesOf(tensor);
    for (uint64_t at = 0; at < size; at += buffer.size()) {
        const std::span<std::byte> piece =
            std::span(buffer).first(std::min<uint64_t>(buffer.size(), size - at));
        tensor.fill(at, piece);
        CONCLAVE_TRY_VOID(sink(piece));
    }
    return {};
}

template <class Row> std::string joined(std::span<const Row> rows) {
    std::string out;
    for (const Row& row : rows)
        out += (out.empty() ? "" : ", ") + std::string(row.name);
    return out;
}

}  // namespace

std::string synthShapes() {
    return joined(synth::shapes());
}

std::string synthQuants() {
    return joined(synth::recipes());
}

Result<SynthReport> writeSynth(const SynthOptions& options,
                               const std::function<void(uint64_t done, uint64_t total)>& progress) {
    CONCLAVE_TRY(const synth::Spec spec, synth::checkWish(options.wish));
    CONCLAVE_TRY_VOID(checkDestination(options.destination));
    CONCLAVE_TRY(const synth::SynthModel model, synth::makeModel(spec));
    CONCLAVE_TRY_VOID(checkRoom(options.destination, model.bytes));

    SynthReport report{options.destination, synth::toText(spec), model.tensors.size(),
                       model.parameters,    model.bytes,         {}};
    std::map<std::string, uint64_t> byFormat;
    std::vector<std::byte> buffer(kBufferBytes);
    std::vector<formats::GgufWriteTensor> tensors;
    for (const formats::GgufComputedTensor& tensor : model.tensors) {
        byFormat[std::string(quant::info(tensor.format).name)] += bytesOf(tensor);
        tensors.push_back({tensor.name, tensor.format, tensor.shape, [&tensor, &buffer](const Sink& sink) {
                               return writeTensor(tensor, buffer, sink);
                           }});
    }
    report.formats.assign(byFormat.begin(), byFormat.end());
    std::stable_sort(report.formats.begin(), report.formats.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    CONCLAVE_TRY_VOID(formats::writeGguf(options.destination, model.metadata, tensors, progress));
    return report;
}

}  // namespace conclave::engine::offline
