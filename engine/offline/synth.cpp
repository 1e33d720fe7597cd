#include "engine/offline/synth.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>

#include "engine/formats/gguf.h"
#include "engine/formats/tensor_bytes.h"
#include "engine/offline/destination.h"
#include "engine/synth/adapter.h"
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

Result<void> writeTensor(const formats::GgufComputedTensor& tensor, std::vector<std::byte>& buffer,
                         const Sink& sink) {
    const uint64_t size = formats::tensorBytes(tensor.format, tensor.shape);
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

/// What is to be written, and its specification.
struct Contents {
    std::string text;
    synth::SynthFile file;
};

Result<Contents> modelContents(const SynthOptions& options) {
    CONCLAVE_TRY(const synth::Spec spec, synth::checkWish(options.wish));
    CONCLAVE_TRY(synth::SynthModel model, synth::makeModel(spec));
    return Contents{synth::toText(spec), std::move(model.file)};
}

Result<Contents> adapterContents(const SynthOptions& options) {
    synth::Wish wish = options.wish;
    if (wish.quant.empty()) wish.quant = "f16";
    CONCLAVE_TRY(const synth::Spec spec, synth::checkWish(wish));
    CONCLAVE_TRY(synth::AdapterSpec adapter, synth::readAdapterSpec(options.adapter));
    if (quant::info(spec.recipe->format).blockValues > 1)
        return Error{Code::OutOfRange,
                     "",
                     "quant",
                     {std::string(spec.recipe->name), "f32, f16 or bf16: an adapter's factors are floats"}};
    adapter.format = spec.recipe->format;
    adapter.seed = spec.seed;
    CONCLAVE_TRY(synth::SynthFile file, synth::makeAdapter(adapter, spec));
    const std::string text = synth::toText(adapter) + " for " + std::string(spec.shape->name) + " of " +
                             std::to_string(spec.layers) + (spec.layers == 1 ? " layer" : " layers");
    return Contents{text, std::move(file)};
}

std::vector<std::pair<std::string, uint64_t>> formatsOf(const synth::SynthFile& file) {
    std::map<std::string, uint64_t> byFormat;
    for (const formats::GgufComputedTensor& tensor : file.tensors)
        byFormat[std::string(quant::info(tensor.format).name)] +=
            formats::tensorBytes(tensor.format, tensor.shape);
    std::vector<std::pair<std::string, uint64_t>> out(byFormat.begin(), byFormat.end());
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    return out;
}

}  // namespace

std::string synthShapes() {
    return joined(synth::shapes());
}

std::string synthQuants() {
    return joined(synth::recipes());
}

std::string synthTargets() {
    return joined(synth::targets());
}

Result<void> writeSynthFile(const synth::SynthFile& file, const std::string& destination,
                            const std::function<void(uint64_t done, uint64_t total)>& progress) {
    CONCLAVE_TRY_VOID(checkRoom(destination, file.bytes));
    std::vector<std::byte> buffer(kBufferBytes);
    std::vector<formats::GgufWriteTensor> tensors;
    for (const formats::GgufComputedTensor& tensor : file.tensors)
        tensors.push_back({tensor.name, tensor.format, tensor.shape, [&tensor, &buffer](const Sink& sink) {
                               return writeTensor(tensor, buffer, sink);
                           }});
    return formats::writeGguf(destination, file.metadata, tensors, progress);
}

Result<SynthReport> writeSynth(const SynthOptions& options,
                               const std::function<void(uint64_t done, uint64_t total)>& progress) {
    CONCLAVE_TRY(const Contents contents,
                 options.adapter.empty() ? modelContents(options) : adapterContents(options));
    CONCLAVE_TRY_VOID(checkDestination(options.destination));
    CONCLAVE_TRY_VOID(writeSynthFile(contents.file, options.destination, progress));
    return SynthReport{options.destination,      contents.text,       contents.file.tensors.size(),
                       contents.file.parameters, contents.file.bytes, formatsOf(contents.file)};
}

}  // namespace conclave::engine::offline
