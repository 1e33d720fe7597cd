#include <memory>
#include <string>
#include <utility>

#include "engine/library/content_id.h"
#include "engine/library/library.h"
#include "engine/library/names.h"
#include "engine/library/parts.h"
#include "engine/synth/spec.h"

namespace conclave::engine::library {

bool isSynthetic(const std::string& path) {
    return synth::isSpec(path);
}

base::Result<std::shared_ptr<const LoadedModel>> loadPath(const std::string& path, const std::string& name,
                                                          const model::LoadOptions& options) {
    CONCLAVE_TRY(OpenedModel opened, openModel(path, formats::Weights::WithWeights));
    std::string identity;
    if (synth::isSpec(path)) {
        CONCLAVE_TRY(const synth::Spec spec, synth::readSpec(path));
        identity = hashOfText(synth::toText(spec));
    } else {
        CONCLAVE_TRY(identity, hashOfIdentities(opened.files()));
        identity = "files:" + identity;
    }
    CONCLAVE_TRY(LoadedModel loaded, loadOpened(std::move(opened), name.empty() ? nameFromPath(path) : name,
                                                std::move(identity), options));
    return std::make_shared<const LoadedModel>(std::move(loaded));
}

}  // namespace conclave::engine::library
