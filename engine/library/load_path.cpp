#include <memory>
#include <string>
#include <utility>

#include "engine/library/content_id.h"
#include "engine/library/library.h"
#include "engine/library/names.h"
#include "engine/library/parts.h"

namespace conclave::engine::library {

base::Result<std::shared_ptr<const LoadedModel>> loadPath(const std::string& path, const std::string& name,
                                                          const model::LoadOptions& options) {
    CONCLAVE_TRY(OpenedModel opened, openModel(path, formats::Weights::WithWeights));
    CONCLAVE_TRY(const std::string identity, hashOfIdentities(opened.files()));
    CONCLAVE_TRY(LoadedModel loaded, loadOpened(std::move(opened), name.empty() ? nameFromPath(path) : name,
                                                "files:" + identity, options));
    return std::make_shared<const LoadedModel>(std::move(loaded));
}

}  // namespace conclave::engine::library
