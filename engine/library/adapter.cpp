#include "engine/library/adapter.h"

#include <bit>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/library/content_id.h"
#include "engine/library/names.h"
#include "engine/library/tokens_fingerprint.h"
#include "engine/model/base_fingerprint.h"
#include "engine/platform/paths.h"

namespace conclave::engine::library {
namespace {

/// What does not fit is told apart from what is broken by the name of the base that the file says.
base::Error withBaseName(base::Error error, const formats::AdapterFile& file, const LoadedModel& base) {
    const bool shape = error.code == base::Code::TensorShape;
    if ((!shape && error.code != base::Code::AdapterMismatch) || error.args.empty()) return error;
    if (!file.baseName.empty())
        error.args.back() +=
            " (it says that it was trained on " + file.baseName + ", and this model is " + base.name + ")";
    else if (shape)
        error.args.back() += "; it was probably trained on another model than " + base.name;
    return error;
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

std::vector<std::string> adapterFiles(const std::string& path) {
    if (platform::pathKind(path) != platform::PathKind::Folder) return {path};
    return {path + "/adapter_config.json", path + "/adapter_model.safetensors"};
}

base::Result<std::string> adapterContentId(const std::string& path, const Library::Progress& progress) {
    // Small files are hashed sooner than what is remembered of others is read and written.
    constexpr uintmax_t kWorthRemembering = uintmax_t{8} << 20;
    uintmax_t bytes = 0;
    std::error_code failed;  // what is not there, hashing says
    for (const std::string& file : adapterFiles(path))
        if (const uintmax_t size = std::filesystem::file_size(file, failed); !failed) bytes += size;
    const std::string cache = bytes < kWorthRemembering ? std::string() : platform::userPaths().cache;
    CONCLAVE_TRY(const ContentHash hash,
                 hashContent(adapterFiles(path), cache, [&](uint64_t done, uint64_t total) {
                     if (progress) progress("hash", done, total);
                 }));
    return hash.sha256;
}

std::future<base::Result<std::string>> hashBeside(const std::string& path,
                                                  const Library::Progress& progress) {
    return std::async(std::launch::async, [path, progress] { return adapterContentId(path, progress); });
}

base::Result<formats::AdapterFile> openFor(const LoadedModel& base, const std::string& path) {
    CONCLAVE_TRY(formats::AdapterFile file, formats::openAdapter(path));
    if (!file.baseFingerprint.empty()) {
        CONCLAVE_TRY_VOID(model::checkFingerprint(file.baseFingerprint, baseFingerprint(base), file.path,
                                                  file.fingerprintKey()));
    }
    return file;
}

base::Result<std::shared_ptr<const model::Adapter>>
readFactors(const formats::AdapterFile& file, const LoadedModel& base, const model::ReserveMemory& reserve) {
    auto adapter = model::loadAdapter(file, *base.model, reserve);
    if (!adapter.ok()) return withBaseName(adapter.error(), file, base);
    return adapter;
}

base::Result<std::string> adapterName(const std::string& path, const std::string& name) {
    std::string out = name.empty() ? nameFromPath(path) : name;
    if (!isModelName(out))
        return base::Error{base::Code::BadArgument,
                           {},
                           "name",
                           {"no adapter can be called \"" + out + "\"; choose another"}};
    return out;
}

base::Result<std::shared_ptr<const LoadedAdapter>> loadAdapter(const std::string& path,
                                                               const std::string& name,
                                                               const LoadedModel& base,
                                                               const Library::Progress& progress) {
    auto loaded = std::make_shared<LoadedAdapter>();
    CONCLAVE_TRY(loaded->name, adapterName(path, name));
    loaded->path = path;
    loaded->base = base.model;
    CONCLAVE_TRY(const formats::AdapterFile file, openFor(base, path));
    auto hashing = hashBeside(path, progress);
    auto factors = readFactors(file, base, {});
    CONCLAVE_TRY(loaded->contentId, hashing.get());
    CONCLAVE_TRY(loaded->adapter, std::move(factors));
    loaded->facts = std::make_shared<const AdapterFacts>(factsOf(file, *loaded->adapter));
    return std::shared_ptr<const LoadedAdapter>(std::move(loaded));
}

}  // namespace conclave::engine::library
