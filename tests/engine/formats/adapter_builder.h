#pragma once

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/formats/gguf.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::formats {

/// An adapter that a test puts together: tensors and a configuration.
struct AdapterBuilder {
    struct Tensor {
        std::vector<uint64_t> shape;
        std::vector<float> values;
    };
    std::map<std::string, Tensor> tensors;
    quant::Format stored = quant::Format::F32;  ///< in a GGUF; PEFT's folders are float32
    nlohmann::json config = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 4}};

    void add(const std::string& name, std::vector<uint64_t> shape, std::vector<float> values) {
        tensors[name] = {std::move(shape), std::move(values)};
    }
    /// A pair of a PEFT module.
    void pair(const std::string& module, Tensor a, Tensor b) {
        tensors["base_model.model." + module + ".lora_A.weight"] = std::move(a);
        tensors["base_model.model." + module + ".lora_B.weight"] = std::move(b);
    }

    /// As PEFT's folder `name` in `folder`; returns its path.
    std::string writePeft(const ScratchFolder& folder, const std::string& name) const {
        nlohmann::json header = nlohmann::json::object();
        std::string bytes;
        for (const auto& [tensor, content] : tensors) {
            const size_t begin = bytes.size(), size = content.values.size() * sizeof(float);
            bytes.append(reinterpret_cast<const char*>(content.values.data()), size);
            header[tensor] = {
                {"dtype", "F32"}, {"shape", content.shape}, {"data_offsets", {begin, begin + size}}};
        }
        const std::string text = header.dump();
        const uint64_t length = text.size();
        std::string file(sizeof length, '\0');
        std::memcpy(file.data(), &length, sizeof length);
        std::filesystem::create_directories(folder.path(name));
        folder.write(name + "/adapter_config.json", config.dump());
        folder.write(name + "/adapter_model.safetensors", file + text + bytes);
        return folder.path(name);
    }

    /// As llama.cpp's GGUF of the architecture; tensors by its names.
    std::string writeGguf(const ScratchFolder& folder, const std::string& name,
                          const std::string& architecture, float alpha, const GgufMetadata& more = {}) const {
        GgufMetadata metadata = {{"general.architecture", GgufScalar(architecture)},
                                 {"general.type", GgufScalar(std::string("adapter"))},
                                 {"adapter.type", GgufScalar(std::string("lora"))},
                                 {"adapter.lora.alpha", GgufScalar(alpha)}};
        metadata.insert(metadata.end(), more.begin(), more.end());
        std::vector<GgufWriteTensor> list;
        for (const auto& entry : tensors) {
            const Tensor& content = entry.second;
            const quant::FormatInfo& format = quant::info(stored);
            list.push_back({entry.first, stored, content.shape, [&content, &format](const auto& sink) {
                                const size_t blocks = content.values.size() / format.blockValues;
                                std::vector<std::byte> bytes(blocks * format.blockBytes);
                                format.encode(content.values.data(), blocks, bytes.data());
                                return sink(bytes);
                            }});
        }
        EXPECT_TRUE(formats::writeGguf(folder.path(name), metadata, list, nullptr).ok());
        return folder.path(name);
    }
};

}  // namespace conclave::engine::formats
