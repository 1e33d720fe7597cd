#pragma once

#include <string>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/library/library.h"

namespace conclave::engine::library {

/// A model's files, opened and checked, with what has been read from them.
struct OpenedModel {
    std::variant<formats::HfFolder, formats::GgufFile> source;
    ModelParts parts;

    const formats::TensorDirectory& tensors() const;
    /// Every file that makes the model what it is: weights, configuration, vocabulary, template.
    std::vector<std::string> files() const;
};

/// `weights` is about Hugging Face folders; a GGUF file always has them with it. Errors as in openParts.
base::Result<OpenedModel> openModel(const std::string& path, formats::Weights weights);

/// The weights of `opened` in memory, as a model under `name`. Errors: VocabularyMismatch, FileChanged, and
/// what model::loadModel says.
base::Result<LoadedModel> loadOpened(OpenedModel opened, const std::string& name, std::string contentHash,
                                     const model::LoadOptions& options);

}  // namespace conclave::engine::library
