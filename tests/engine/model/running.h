#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/model/load.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"

namespace conclave::engine::model {

inline const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models";
inline const std::string kExtraModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models-extra";

inline base::Result<std::shared_ptr<const Model>> loadPath(const std::string& path,
                                                           const LoadOptions& options = {}) {
    if (path.ends_with(".gguf")) {
        CONCLAVE_TRY(const formats::GgufFile file, formats::GgufFile::open(path));
        return loadModel(file, options);
    }
    CONCLAVE_TRY(const formats::HfFolder folder, formats::openHfFolder(path, formats::Weights::WithWeights));
    return loadModel(folder, options);
}

inline std::shared_ptr<const Model> mustLoad(const std::string& path, const LoadOptions& options = {}) {
    auto model = loadPath(path, options);
    EXPECT_TRUE(model.ok()) << base::render(model.error());
    return model.ok() ? *model : nullptr;
}

/// Pages of one sequence; scattered ones lie in reverse order with gaps.
class Pages {
  public:
    Pages(const Model& model, size_t positions, bool scattered = false) {
        const size_t count = (positions + kernels::kPagePositions - 1) / kernels::kPagePositions;
        const size_t stride = model.kv.pageBytes * (scattered ? 3 : 1);
        auto memory = platform::Memory::allocate(count * stride, "test pages");
        EXPECT_TRUE(memory.ok());
        memory_ = std::move(memory).value();
        for (size_t page = 0; page < count; ++page)
            pages_.push_back(memory_.data() + (scattered ? count - 1 - page : page) * stride);
    }
    std::span<std::byte* const> span() const { return pages_; }

  private:
    platform::Memory memory_;
    std::vector<std::byte*> pages_;
};

inline std::vector<base::TokenId> someTokens(const Model& model, size_t count, uint32_t seed) {
    std::vector<base::TokenId> out;
    for (size_t i = 0; i < count; ++i) {
        seed = seed * 1664525u + 1013904223u;
        out.push_back(base::TokenId{static_cast<int32_t>((seed >> 8) % model.config.vocabulary)});
    }
    return out;
}

/// Logits of every position of one sequence, `chunk` tokens a step, with these adapters at work.
inline std::vector<float> runAlone(const Model& model, platform::Team& team,
                                   const std::vector<base::TokenId>& tokens, size_t chunk,
                                   bool scattered = false, std::span<const AdapterUse> adapters = {}) {
    const Pages pages(model, tokens.size(), scattered);
    std::vector<float> out;
    for (size_t at = 0; at < tokens.size(); at += chunk) {
        Step step;
        Slice slice;
        slice.tokens = std::span(tokens).subspan(at, std::min(chunk, tokens.size() - at));
        slice.start = static_cast<uint32_t>(at);
        slice.pages = pages.span();
        slice.logits = Slice::Logits::All;
        slice.adapters = adapters;
        step.slices.push_back(slice);
        EXPECT_EQ(model.forward(step, team), StepOutcome::Done);
        out.insert(out.end(), step.logits.begin(), step.logits.end());
    }
    return out;
}

/// A copy of a fixture's folder to be changed.
class Copy {
  public:
    explicit Copy(const std::string& folder) {
        std::string pattern = (std::filesystem::temp_directory_path() / "conclave-model-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        path_ = pattern;
        std::filesystem::copy(folder, path_);
    }
    ~Copy() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;

    const std::string& path() const { return path_; }
    std::string read(const std::string& name) const {
        std::ifstream in(path_ + "/" + name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ + "/" + name, std::ios::binary) << text;
    }
    /// Sets one field of config.json.
    void set(const std::string& key, const nlohmann::json& value) const {
        nlohmann::json config = nlohmann::json::parse(read("config.json"));
        config[key] = value;
        write("config.json", config.dump());
    }
    /// Overwrites every value of a float32 tensor of model.safetensors.
    void fill(const std::string& tensor, float value) const {
        std::string file = read("model.safetensors");
        uint64_t header = 0;
        std::memcpy(&header, file.data(), sizeof header);
        const nlohmann::json offsets = nlohmann::json::parse(file.substr(8, header))[tensor]["data_offsets"];
        for (size_t at = offsets[0].get<size_t>(); at < offsets[1].get<size_t>(); at += sizeof value)
            std::memcpy(file.data() + 8 + header + at, &value, sizeof value);
        write("model.safetensors", file);
    }

  private:
    std::string path_;
};

}  // namespace conclave::engine::model
