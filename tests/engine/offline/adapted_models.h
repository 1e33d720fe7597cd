#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

#include "engine/offline/import.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::offline {

inline const std::string kFixtures = CONCLAVE_SOURCE_DIR "/tests/fixtures";
inline const std::string kShared = CONCLAVE_SOURCE_DIR "/../shared";
inline const std::string kStarter = CONCLAVE_SOURCE_DIR "/resources/models/starter";

/// A GGUF file of a fixture's folder.
inline std::string imported(const formats::ScratchFolder& scratch, const std::string& folder) {
    const auto report =
        importModel({.source = folder, .destination = scratch.path("base.gguf"), .quant = {}}, {});
    EXPECT_TRUE(report.ok()) << base::render(report.error());
    return scratch.path("base.gguf");
}

/// A base and an adapter with golden files for it.
using Adapted = std::pair<std::string, std::string>;

/// Every adapter below the `adapters` folders of models below `root`: with the model's folder and with each
/// GGUF in it.
inline std::vector<Adapted> adaptersBelow(const std::string& root) {
    namespace fs = std::filesystem;
    std::vector<Adapted> out;
    std::error_code missing;
    for (fs::recursive_directory_iterator at(root, missing), end; !missing && at != end;
         at.increment(missing)) {
        if (at->path().filename() != "adapter_config.json") continue;
        const fs::path adapter = at->path().parent_path(), base = adapter.parent_path().parent_path();
        if (!fs::exists(adapter / "golden.json")) continue;
        if (fs::exists(base / "model.safetensors")) out.emplace_back(base.string(), adapter.string());
        for (const auto& file : fs::directory_iterator(base))
            if (file.path().extension() == ".gguf") out.emplace_back(file.path().string(), adapter.string());
    }
    std::ranges::sort(out);
    return out;
}

/// The adapters of ../shared on the GGUF files that are no fixtures; none where there is no ../shared.
inline std::vector<Adapted> sharedGgufBases(const std::string& shared, const std::string& fixtures) {
    namespace fs = std::filesystem;
    std::vector<Adapted> out = adaptersBelow(shared + "/models");
    std::erase_if(out, [&](const Adapted& one) {
        return fs::is_directory(one.first) ||
               fs::exists(fixtures / fs::path(one.first).lexically_relative(shared));
    });
    return out;
}

/// Those that PEFT itself wrote, from 0.17 on, with what it computes.
inline std::vector<Adapted> writtenByPeft(const std::string& fixtures) {
    namespace fs = std::filesystem;
    std::vector<Adapted> out;
    std::error_code missing;
    for (fs::recursive_directory_iterator at(fixtures + "/adapters", missing), end; !missing && at != end;
         at.increment(missing))
        if (at->path().filename() == "adapter_config.json") {
            const fs::path adapter = at->path().parent_path();
            out.emplace_back(fixtures + "/models/" + adapter.parent_path().filename().string(),
                             adapter.string());
        }
    std::ranges::sort(out);
    return out;
}

/// "mixtral_tiny_experts_model_gguf_4".
inline std::string adaptedName(const testing::TestParamInfo<Adapted>& info) {
    namespace fs = std::filesystem;
    const fs::path base(info.param.first), adapter(info.param.second);
    std::string name = base.parent_path().filename().string() + "_" + base.filename().string() + "_" +
                       adapter.filename().string() + "_" + std::to_string(info.index);
    for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    return name;
}

}  // namespace conclave::engine::offline
