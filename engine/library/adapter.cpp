#include "engine/library/adapter.h"

#include <bit>
#include <chrono>
#include <cstdio>

#include "engine/library/content_id.h"
#include "engine/library/names.h"
#include "engine/library/tokens_fingerprint.h"
#include "engine/model/base_fingerprint.h"
#include "engine/platform/paths.h"

namespace conclave::engine::library {
namespace {

/// The files that make an adapter what it is.
std::vector<std::string> filesOf(const formats::AdapterFile& file) {
    std::vector<std::string> out;
    if (file.kind == formats::AdapterFile::Kind::Peft) out.push_back(file.path + "/adapter_config.json");
    for (const formats::TensorInfo& tensor : file.tensors.all())
        if (out.empty() || out.back() != tensor.file) out.push_back(tensor.file);
    return out;
}

/// What does not fit is told apart from what is broken by the name of the base that the file says.
base::Error withBaseName(base::Error error, const formats::AdapterFile& file, const LoadedModel& base) {
    const bool unfit = error.code == base::Code::AdapterMismatch || error.code == base::Code::TensorShape;
    if (unfit && !file.baseName.empty() && !error.args.empty())
        error.args.back() +=
            " (it says that it was trained on " + file.baseName + ", and this model is " + base.name + ")";
    return error;
}

base::Result<std::shared_ptr<const model::Adapter>> attach(const formats::AdapterFile& file,
                                                           const LoadedModel& base) {
    if (!file.baseFingerprint.empty()) {
        CONCLAVE_TRY_VOID(model::checkFingerprint(file.baseFingerprint, baseFingerprint(base), file.path,
                                                  file.fingerprintKey()));
    }
    auto adapter = model::loadAdapter(file, *base.model);
    if (!adapter.ok()) return withBaseName(adapter.error(), file, base);
    return adapter;
}

}  // namespace

std::string keyOf(const std::vector<AdapterUse>& uses) {
    std::string key;
    for (const AdapterUse& use : uses) {
        if (use.strength == 0) continue;
        char strength[16];
        std::snprintf(strength, sizeof strength, "*%08x ", std::bit_cast<uint32_t>(use.strength));
        key += use.adapter->contentId + strength;
    }
    return key;
}

base::Result<std::shared_ptr<const LoadedAdapter>>
loadAdapter(const std::string& path, const std::string& name, const LoadedModel& base,
            const std::function<void(const std::string& stage, uint64_t done, uint64_t total)>& progress) {
    auto loaded = std::make_shared<LoadedAdapter>();
    loaded->name = name.empty() ? nameFromPath(path) : name;
    if (!isModelName(loaded->name))
        return base::Error{base::Code::BadArgument,
                           {},
                           "name",
                           {"no adapter can be called \"" + loaded->name + "\"; choose another"}};
    loaded->path = path;
    loaded->base = base.model;
    CONCLAVE_TRY(const formats::AdapterFile file, formats::openAdapter(path));
    CONCLAVE_TRY(const ContentHash hash,
                 hashContent(filesOf(file), platform::userPaths().cache, [&](uint64_t done, uint64_t total) {
                     if (progress) progress("hash", done, total);
                 }));
    loaded->contentId = hash.sha256;
    CONCLAVE_TRY(loaded->adapter, attach(file, base));
    loaded->loadedAtUnix =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    return std::shared_ptr<const LoadedAdapter>(std::move(loaded));
}

}  // namespace conclave::engine::library
