#include "engine/offline/import.h"

#include <algorithm>
#include <map>

#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/formats/tensor_bytes.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/model/config.h"
#include "engine/model/gguf_keys.h"
#include "engine/offline/destination.h"
#include "engine/offline/import_metadata.h"
#include "engine/offline/import_tensors.h"
#include "engine/offline/import_vocabulary.h"
#include "engine/platform/file.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using quant::Format;

constexpr Format kFormats[] = {Format::Q8_0, Format::Q4_0, Format::BF16, Format::F16, Format::F32};

void append(Metadata& to, Metadata from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
}

Result<formats::TokenizerSpec> readTokenizer(const formats::HfFolder& folder) {
    if (folder.tokenizerPath.empty())
        return Error{Code::FileNotFound, folder.path + "/tokenizer.json", "", {}};
    std::optional<std::string> config;
    if (folder.tokenizerConfig) config = folder.path + "/tokenizer_config.json";
    return formats::readTokenizerJson(folder.tokenizerPath, config);
}

}  // namespace

void describeTensors(const std::vector<formats::GgufWriteTensor>& tensors, ImportReport& report) {
    std::map<std::string, uint64_t> formats;
    for (const formats::GgufWriteTensor& tensor : tensors) {
        const uint64_t bytes = formats::tensorBytes(tensor.format, tensor.shape);
        formats[std::string(quant::info(tensor.format).name)] += bytes;
        report.bytes += bytes;
    }
    report.tensors = tensors.size();
    report.formats.assign(formats.begin(), formats.end());
    std::stable_sort(report.formats.begin(), report.formats.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
}

Result<void> checkImportFormat(Format format) {
    if (std::ranges::find(kFormats, format) != std::end(kFormats)) return {};
    return Error{
        Code::BadArgument,
        "",
        "--quant",
        {std::string(quant::info(format).name) + " is not written; q8_0, q4_0, bf16, f16 and f32 are"}};
}

std::vector<std::string> importFormats() {
    std::vector<std::string> names;
    for (const Format format : kFormats) {
        std::string name(quant::info(format).name);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        names.push_back(std::move(name));
    }
    return names;
}

Result<ImportReport> importModel(const ImportOptions& options,
                                 const std::function<void(uint64_t done, uint64_t total)>& progress) {
    if (options.quant) CONCLAVE_TRY_VOID(checkImportFormat(*options.quant));
    CONCLAVE_TRY_VOID(checkDestination(options.destination));
    if (platform::pathKind(options.source) == platform::PathKind::Regular && isGguf(options.source))
        return Error{Code::BadArgument,
                     "",
                     options.source,
                     {"is a GGUF file already and is used as it is; import reads Hugging Face folders"}};
    CONCLAVE_TRY(const formats::HfFolder folder,
                 formats::openHfFolder(options.source, formats::Weights::WithWeights));
    CONCLAVE_TRY(const model::ModelConfig config, model::configFromHf(folder));
    CONCLAVE_TRY(const formats::TokenizerSpec tokenizer, readTokenizer(folder));

    ImportReport report;
    report.destination = options.destination;
    report.architecture = model::ggufArchitecture(config);
    report.warnings = config.warnings;
    CONCLAVE_TRY(ImportTensors tensors, importTensors(folder, config, options.quant, options.additions));
    describeTensors(tensors.tensors, report);
    const Format mostly =
        options.quant ? *options.quant : quant::fromName(report.formats.front().first).value();
    CONCLAVE_TRY(Metadata metadata, model::modelKeys(folder, config, model::ggufFileType(mostly)));
    CONCLAVE_TRY(Metadata sampling, samplingKeys(folder));
    append(metadata, std::move(sampling));
    CONCLAVE_TRY(Metadata vocabulary, vocabularyKeys(folder, tokenizer, config.vocabulary, report.warnings));
    append(metadata, std::move(vocabulary));
    report.fallbacks = std::move(tensors.fallbacks);
    report.skipped = std::move(tensors.skipped);
    CONCLAVE_TRY_VOID(formats::writeGguf(options.destination, metadata, tensors.tensors, progress));
    return report;
}

nlohmann::ordered_json toJson(const ImportReport& report) {
    nlohmann::ordered_json formats = nlohmann::ordered_json::object();
    for (const auto& [name, bytes] : report.formats)
        formats[name] = bytes;
    return {{"path", report.destination}, {"architecture", report.architecture},
            {"tensors", report.tensors},  {"bytes", report.bytes},
            {"formats", formats},         {"fallbacks", report.fallbacks},
            {"skipped", report.skipped},  {"warnings", report.warnings}};
}

}  // namespace conclave::engine::offline
