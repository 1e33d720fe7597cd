#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/model/load.h"
#include "engine/model/model.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"

namespace conclave::engine::library {

/// What a model's own files say about sampling (generation_config.json, GGUF's general.sampling.*); a
/// request's fields win over these, these over temperature 1 and top_p 1. `do_sample: false` is temperature
/// 0.
struct GenerationDefaults {
    std::optional<float> temperature, topP, minP, typicalP;
    std::optional<uint32_t> topK;
    std::optional<float> repetitionPenalty;
    std::optional<int32_t> repeatLastN;  ///< tokens that penalties look back at; −1 = all
    std::optional<uint32_t> maxTokens;   ///< max_new_tokens
};

/// A model with everything that is needed to talk to it. Immutable once published.
struct LoadedModel {
    std::string name;  ///< what requests call it
    std::string path;
    /// NAME@SHA256, over the sorted list of (sha256, size, name) of its files; part of every cache key. From
    /// loadPath, which reads no file twice, NAME@files:SHA256 over what the file system says of them. Of
    /// random weights it is the SHA256 of their whole specification.
    std::string contentId;
    std::shared_ptr<const model::Model> model;
    std::shared_ptr<const text::Tokenizer> tokenizer;
    std::shared_ptr<const text::ChatTemplate> chatTemplate;  ///< null: chat is refused
    std::optional<base::Error>
        templateError;             ///< why there is none, where the model has one that cannot be used
    std::string bosText, eosText;  ///< for the template
    GenerationDefaults defaults;
    model::RouterOptions router{};  ///< canonical; of requests that have none of their own
    std::vector<base::TokenId>
        endTokens;  ///< sorted: union of config, generation_config and GGUF's eos, eot, eom
    std::vector<std::string> warnings;
    int64_t loadedAtUnix = 0;
};

/// A model that can be named.
struct ModelEntry {
    std::string name;
    std::string path;
    bool loaded = false;
    int64_t createdUnix = 0;
    uint64_t bytes = 0;                 ///< on disk; in memory where the weights are random and lie on none
    std::vector<std::string> warnings;  ///< such as another model of the same name that this one hides
};

/// Whether a model's path is one of random weights, "synth:SHAPE[:QUANT[:LAYERS]]", which stands for itself
/// and is no file. Everything below that takes a path takes it.
bool isSynthetic(const std::string& path);

/// Opens the parts of a model without its weights: what tokenize, template and show need.
struct ModelParts {
    std::string path;
    bool isGguf = false;
    std::shared_ptr<const text::Tokenizer> tokenizer;
    std::shared_ptr<const text::ChatTemplate> chatTemplate;
    std::optional<base::Error> templateError;  ///< as in LoadedModel
    std::string bosText, eosText;
    GenerationDefaults defaults;
    std::vector<base::TokenId> endTokens;
    std::vector<std::string> warnings;
};
/// Errors: FileNotFound, FileNotRegular, NotAModelFolder, NotGguf, VocabularyMismatch (where the files say
/// how many embedding rows there are), and what formats and text say. A broken chat template or a value of
/// generation_config that makes no sense is a warning: the model is good without it.
base::Result<ModelParts> openParts(const std::string& path);

/// Loads a path whole, outside any library: what `check` does in process. An empty name is made from the
/// path.
base::Result<std::shared_ptr<const LoadedModel>> loadPath(const std::string& path, const std::string& name,
                                                          const model::LoadOptions& options);

/// Names to paths to loaded models. Thread-safe. Loading happens on the caller's thread and never disturbs
/// what is already published.
class Library {
  public:
    struct Options {
        std::vector<std::string>
            folders;  ///< searched in order for installed names; a name is a folder or a .gguf file
        model::LoadOptions load;
        std::string defaultModel;  ///< models.chat of config.toml; may be empty
    };
    explicit Library(Options options);

    /// Loaded first, then installed, each by name.
    std::vector<ModelEntry> list() const;

    /// The model for a request: loaded or installed by that name (loads it), or the default when `name` is
    /// empty. A name is never a path: one with '/' or that begins with '.' is unknown. Errors: UnknownModel,
    /// NoModelChosen, and whatever loading says.
    base::Result<std::shared_ptr<const LoadedModel>> get(const std::string& name);

    /// Only what is loaded now; null where it is not.
    std::shared_ptr<const LoadedModel> loaded(const std::string& name) const;

    /// Where an installed name lies on disk. Errors: UnknownModel.
    base::Result<std::string> pathOf(const std::string& name) const;

    /// Loads from a path under a name made from it (or the name given); the same path and content again gives
    /// the model that is already there, and under another name shares its weights. One load at a time; others
    /// wait. Errors: ModelNameTaken, ModelChanged where the path has other content by now, BadArgument for a
    /// name that none can have, FileChanged, and whatever loading says.
    using Progress = std::function<void(const std::string& stage, uint64_t done, uint64_t total)>;
    base::Result<std::shared_ptr<const LoadedModel>> load(const std::string& path, const std::string& name,
                                                          const Progress& progress);

    /// Sets how later requests to a loaded model steer its routers where they do not say so themselves.
    /// Errors: UnknownModel, and as model::canonicalRouter.
    base::Result<void> setRouter(const std::string& name, const model::RouterOptions& options);

    /// Publishes a model that was made elsewhere (tests).
    void publish(std::shared_ptr<const LoadedModel> model);

    /// Forgets a loaded model; requests that hold it finish with it.
    base::Result<void> unload(const std::string& name);

  private:
    std::vector<ModelEntry> installed() const;
    std::vector<std::shared_ptr<const LoadedModel>> snapshot() const;
    std::string knownNames() const;

    const Options options_;
    mutable std::mutex mutex_;  ///< of loaded_, held for moments only
    std::vector<std::shared_ptr<const LoadedModel>> loaded_;
    std::mutex loading_;  ///< held while a model loads
};

}  // namespace conclave::engine::library
