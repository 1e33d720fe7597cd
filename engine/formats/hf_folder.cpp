#include "engine/formats/hf_folder.h"

#include <algorithm>
#include <array>
#include <set>

#include "engine/formats/printable.h"
#include "engine/formats/safetensors.h"
#include "engine/platform/file.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;
using nlohmann::json;
using platform::PathKind;

constexpr size_t kMostConfigBytes = size_t{16} << 20;
constexpr size_t kMostIndexBytes = size_t{128} << 20;
constexpr const char* kWeightsName = "model.safetensors";
constexpr const char* kIndexName = "model.safetensors.index.json";

struct Scheme {
    std::string_view method;
    std::string_view advice;
};

// quantization_config.quant_method of folders whose weights are packed in ways that are not read.
constexpr Scheme kForeignSchemes[] = {
    {"awq", "use the GGUF of this model (Q4_K_M is about as small), or the original weights with conclave "
            "import --quant q4_0"},
    {"gptq", "use the GGUF of this model (Q4_K_M is about as small), or the original weights with conclave "
             "import --quant q4_0"},
    {"bitsandbytes", "load it in transformers, call model.dequantize(), save it, and convert it with "
                     "conclave import --quant q8_0"},
    {"compressed-tensors",
     "use the GGUF of this model, or the original weights with conclave import --quant q8_0"},
    {"mxfp4", "use the GGUF of this model in the format MXFP4_MOE"},
};

// Weights that can run code when they are opened.
constexpr const char* kPickleNames[] = {
    "pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model.pt", "model.pt",
    "model.pth",         "consolidated.00.pth",          "model.ckpt",       "adapter_model.bin"};

std::string join(const std::string& folder, std::string_view name) {
    std::string path = folder;
    if (path.empty() || path.back() != '/') path += '/';
    return path.append(name);
}

Result<json> readObject(const std::string& path, size_t limit) {
    CONCLAVE_TRY(const std::string text, platform::readTextFile(path, limit));
    CONCLAVE_TRY(json value, parseStrictJson(text, path));
    if (!value.is_object())
        return Error{Code::WrongType, path, "the document", {value.type_name(), "an object"}};
    return value;
}

Result<std::optional<json>> readOptionalObject(const std::string& path) {
    if (platform::pathKind(path) == PathKind::Missing) return std::optional<json>{};
    CONCLAVE_TRY(json value, readObject(path, kMostConfigBytes));
    return std::optional<json>(std::move(value));
}

/// A template as text, or the default of a list of {name, template}.
Result<std::optional<std::string>> templateOf(const json& value, const std::string& file) {
    const auto wrong = [&](const json& found) {
        return Error{Code::WrongType,
                     file,
                     "chat_template",
                     {found.type_name(), "text or a list of {name, template}"}};
    };
    if (value.is_null()) return std::optional<std::string>{};
    if (value.is_string()) return std::optional<std::string>(value.get<std::string>());
    if (!value.is_array()) return wrong(value);
    std::optional<std::string> chosen;
    for (const json& item : value) {
        if (!item.is_object() || !item.contains("name") || !item["name"].is_string() ||
            !item.contains("template") || !item["template"].is_string())
            return wrong(item);
        if (!chosen || item["name"] == "default") chosen = item["template"].get<std::string>();
    }
    return chosen;
}

/// From the first of the places that has one; the separate files win, as in transformers.
Result<std::optional<std::string>> findTemplate(const HfFolder& folder) {
    const std::string plain = join(folder.path, "chat_template.jinja");
    if (platform::pathKind(plain) != PathKind::Missing) {
        CONCLAVE_TRY(std::string text, platform::readTextFile(plain, kMostConfigBytes));
        return std::optional<std::string>(std::move(text));
    }
    const std::string wrapped = join(folder.path, "chat_template.json");
    CONCLAVE_TRY(const std::optional<json> object, readOptionalObject(wrapped));
    if (object && object->contains("chat_template")) return templateOf((*object)["chat_template"], wrapped);
    if (folder.tokenizerConfig && folder.tokenizerConfig->contains("chat_template"))
        return templateOf((*folder.tokenizerConfig)["chat_template"],
                          join(folder.path, "tokenizer_config.json"));
    return std::optional<std::string>{};
}

Result<void> checkQuantization(const HfFolder& folder) {
    const std::string file = join(folder.path, "config.json");
    const char* key =
        folder.config.contains("quantization_config") ? "quantization_config" : "compression_config";
    if (!folder.config.contains(key) || folder.config[key].is_null()) return {};
    const json& scheme = folder.config[key];
    if (!scheme.is_object()) return Error{Code::WrongType, file, key, {scheme.type_name(), "an object"}};
    const std::string field = std::string(key) + ".quant_method";
    if (!scheme.contains("quant_method") || !scheme["quant_method"].is_string())
        return Error{Code::MissingKey, file, field, {}};
    const std::string method = scheme["quant_method"].get<std::string>();
    if (method == "fp8") {
        const json kind = scheme.value("fmt", json("e4m3"));
        if (kind != "e4m3")
            return Error{Code::UnsupportedFormat,
                         file,
                         std::string(key) + ".fmt",
                         {printable(kind.dump()), "only e4m3 is read; use another conversion of this model"}};
        return {};
    }
    std::string_view advice = "use the GGUF of this model, or the original weights in bfloat16";
    for (const Scheme& row : kForeignSchemes)
        if (method == row.method) advice = row.advice;
    return Error{Code::UnsupportedFormat, file, field, {printable(method), std::string(advice)}};
}

/// The file names of weight_map must be names and not paths: a folder reads nothing but itself.
bool isPlainName(const std::string& name) {
    return !name.empty() && name[0] != '.' && name.find('/') == std::string::npos &&
           name.find('\0') == std::string::npos && name.size() > 12 &&
           name.compare(name.size() - 12, 12, ".safetensors") == 0;
}

Result<void> readShards(HfFolder& folder, const std::string& indexPath) {
    CONCLAVE_TRY(const json index, readObject(indexPath, kMostIndexBytes));
    if (!index.contains("weight_map")) return Error{Code::MissingKey, indexPath, "weight_map", {}};
    const json& map = index["weight_map"];
    if (!map.is_object())
        return Error{Code::WrongType, indexPath, "weight_map", {map.type_name(), "an object"}};
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : map.items()) {
        const std::string field = "weight_map, tensor " + printable(tensor);
        if (!shard.is_string())
            return Error{Code::WrongType, indexPath, field, {shard.type_name(), "a file name"}};
        const std::string name = shard.get<std::string>();
        if (!isPlainName(name))
            return Error{Code::ValueOutOfRange,
                         indexPath,
                         field,
                         {printable(name), "a shard is a plain file name that ends in .safetensors"}};
        shards.insert(name);
    }
    for (const std::string& shard : shards)
        CONCLAVE_TRY_VOID(readSafetensors(join(folder.path, shard), folder.tensors));
    for (const auto& [tensor, shard] : map.items())
        if (!folder.tensors.find(tensor))
            return Error{
                Code::MissingTensor, join(folder.path, shard.get<std::string>()), printable(tensor), {}};
    return {};
}

Result<void> readWeights(HfFolder& folder) {
    const std::string single = join(folder.path, kWeightsName), index = join(folder.path, kIndexName);
    if (platform::pathKind(single) != PathKind::Missing) return readSafetensors(single, folder.tensors);
    if (platform::pathKind(index) != PathKind::Missing) return readShards(folder, index);
    for (const char* name : kPickleNames)
        if (platform::pathKind(join(folder.path, name)) != PathKind::Missing)
            return Error{Code::UnsupportedFormat,
                         folder.path,
                         name,
                         {"pickle", "such a file can run code when it is opened; convert it to safetensors "
                                    "first (in Python, on a machine you can lose: "
                                    "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW)), or "
                                    "download the safetensors"}};
    return Error{Code::FileNotFound, single, "", {}};
}

}  // namespace

Result<HfFolder> openHfFolder(const std::string& path, Weights weights) {
    switch (platform::pathKind(path)) {
    case PathKind::Missing:
        return Error{Code::FileNotFound, path, "", {}};
    case PathKind::Regular:
        return Error{Code::NotAModelFile, path, "", {}};
    case PathKind::Other:
        return Error{Code::FileNotRegular, path, "", {"a special file"}};
    case PathKind::Folder:
        break;
    }
    HfFolder folder;
    folder.path = path;
    const std::string config = join(path, "config.json");
    if (platform::pathKind(config) == PathKind::Missing) {
        const bool adapter = platform::pathKind(join(path, "adapter_config.json")) != PathKind::Missing;
        return Error{adapter ? Code::IsAnAdapter : Code::NotAModelFolder, path, "", {}};
    }
    CONCLAVE_TRY(folder.config, readObject(config, kMostConfigBytes));
    CONCLAVE_TRY(folder.generationConfig, readOptionalObject(join(path, "generation_config.json")));
    CONCLAVE_TRY(folder.tokenizerConfig, readOptionalObject(join(path, "tokenizer_config.json")));
    CONCLAVE_TRY(folder.chatTemplate, findTemplate(folder));
    if (const std::string tokenizer = join(path, "tokenizer.json");
        platform::pathKind(tokenizer) != PathKind::Missing)
        folder.tokenizerPath = tokenizer;
    if (weights == Weights::WithWeights) {
        CONCLAVE_TRY_VOID(checkQuantization(folder));
        CONCLAVE_TRY_VOID(readWeights(folder));
    }
    return folder;
}

}  // namespace conclave::engine::formats
