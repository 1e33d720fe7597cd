#include "engine/offline/golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/formats/hf_folder.h"
#include "engine/formats/safetensors.h"
#include "engine/formats/tensor_directory.h"
#include "engine/platform/file.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::TokenId;
using formats::TensorDirectory;
using formats::TensorInfo;
using model::ModelConfig;
using nlohmann::json;

Error doesNotFit(const std::string& file, const std::string& field, const std::string& what) {
    return {Code::GoldenMismatch, file, field, {what}};
}

/// A list of token ids inside the vocabulary.
Result<std::vector<TokenId>> readIds(const json& record, const char* key, const std::string& file,
                                     uint32_t vocabulary) {
    std::vector<TokenId> ids;
    if (!record.contains(key) || !record[key].is_array())
        return doesNotFit(file, key, "is not a list of token ids");
    for (const json& id : record[key]) {
        if (!id.is_number_unsigned() || id.get<uint64_t>() >= vocabulary)
            return doesNotFit(file, key,
                              id.dump() + " is not a token of a vocabulary of " + std::to_string(vocabulary));
        ids.push_back(TokenId{static_cast<int32_t>(id.get<uint64_t>())});
    }
    return ids;
}

Result<GoldenPrompt> readRecord(const json& record, const std::string& file, uint32_t vocabulary) {
    GoldenPrompt out;
    if (!record.is_object() || !record.contains("prompt") || !record["prompt"].is_string())
        return doesNotFit(file, "prompt", "is missing");
    out.text = record["prompt"].get<std::string>();
    CONCLAVE_TRY(out.ids, readIds(record, "ids", file, vocabulary));
    CONCLAVE_TRY(out.greedy, readIds(record, "greedy", file, vocabulary));
    if (out.ids.empty()) return doesNotFit(file, "ids", "is empty");
    if (!record.contains("greedy_gaps") || !record["greedy_gaps"].is_array() ||
        record["greedy_gaps"].size() != out.greedy.size())
        return doesNotFit(file, "greedy_gaps", "has not one value for each greedy token");
    for (const json& gap : record["greedy_gaps"]) {
        if (!gap.is_number()) return doesNotFit(file, "greedy_gaps", "is not a list of numbers");
        out.gaps.push_back(gap.get<double>());
    }
    return out;
}

/// The values of tensor `name`, which must be there with this format and shape.
template <class T>
Result<std::vector<T>> values(const TensorDirectory& tensors, const std::string& file,
                              const std::string& name, quant::Format format,
                              const std::vector<uint64_t>& shape) {
    const TensorInfo* tensor = tensors.find(name);
    if (tensor == nullptr) return doesNotFit(file, name, "is missing");
    if (tensor->format != format || tensor->shape != shape)
        return doesNotFit(file, name, "has another type or shape than the model's");
    std::vector<T> out(tensor->bytes.size() / sizeof(T));
    std::memcpy(out.data(), tensor->bytes.data(), tensor->bytes.size());
    return out;
}

Result<void> findTensors(const TensorDirectory& tensors, const std::string& file, const ModelConfig& config,
                         Golden& golden) {
    for (size_t p = 0; p < golden.prompts.size(); ++p) {
        GoldenPrompt& prompt = golden.prompts[p];
        const uint64_t rows = prompt.ids.size();
        const std::string number = std::to_string(p);
        CONCLAVE_TRY(prompt.logits, values<float>(tensors, file, "logits." + number, quant::Format::F32,
                                                  {rows, config.vocabulary}));
        for (uint32_t layer = 0; layer < config.layers; ++layer) {
            if (config.moeLayer[layer] == 0) continue;
            const std::string at = number + "." + std::to_string(layer);
            GoldenPrompt::Routing routing;
            routing.layer = layer;
            CONCLAVE_TRY(routing.experts, values<int32_t>(tensors, file, "experts." + at, quant::Format::I32,
                                                          {rows, config.chosenExperts}));
            CONCLAVE_TRY(routing.margins,
                         values<float>(tensors, file, "margins." + at, quant::Format::F32, {rows}));
            for (const int32_t expert : routing.experts)
                if (expert < 0 || expert >= static_cast<int32_t>(config.experts))
                    return doesNotFit(file, "experts." + at, "names expert " + std::to_string(expert));
            prompt.routing.push_back(std::move(routing));
        }
    }
    return {};
}

}  // namespace

Result<Golden> readGolden(const std::string& folder, const ModelConfig& config) {
    const std::string recordsFile = folder + "/golden.json", tensorsFile = folder + "/golden.safetensors";
    for (const std::string& file : {recordsFile, tensorsFile})
        if (platform::pathKind(file) != platform::PathKind::Regular)
            return Error{Code::GoldenMissing, folder, file.substr(folder.size() + 1), {}};
    CONCLAVE_TRY(const std::string text, platform::readTextFile(recordsFile));
    CONCLAVE_TRY(const json records, formats::parseStrictJson(text, recordsFile));
    if (!records.is_array() || records.empty())
        return doesNotFit(recordsFile, "prompts", "is not a list of records");
    Golden golden;
    for (const json& record : records) {
        CONCLAVE_TRY(GoldenPrompt prompt, readRecord(record, recordsFile, config.vocabulary));
        golden.prompts.push_back(std::move(prompt));
    }
    TensorDirectory tensors;
    CONCLAVE_TRY_VOID(formats::readSafetensors(tensorsFile, tensors));
    CONCLAVE_TRY_VOID(findTensors(tensors, tensorsFile, config, golden));
    return golden;
}

double largestError(std::span<const float> ours, const float* golden) {
    double largest = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
        const double error = std::abs(static_cast<double>(ours[i]) - golden[i]);
        largest = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(largest, error);
    }
    return largest;
}

std::string goldenFolder(const std::string& given, const std::string& model) {
    if (!given.empty()) return given;
    if (platform::pathKind(model) == platform::PathKind::Folder) return model;
    const size_t slash = model.rfind('/');
    return slash == std::string::npos ? "." : model.substr(0, slash + 1);
}

}  // namespace conclave::engine::offline
