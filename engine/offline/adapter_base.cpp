#include "engine/offline/adapter_base.h"

#include <algorithm>

#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/library/library.h"
#include "engine/library/tokens_fingerprint.h"
#include "engine/model/base_fingerprint.h"
#include "engine/model/gguf_keys.h"
#include "engine/platform/file.h"
#include "engine/synth/synth.h"

namespace conclave::engine::offline {
namespace {

/// A tokenizer is not needed here: without one, vocabularies are told apart by their size alone.
std::string fingerprintOf(const AdapterBase& base) {
    const auto parts = library::openParts(base.path);
    const bool known = parts.ok() && parts->tokenizer != nullptr;
    return model::baseFingerprint(base.outline.config,
                                  known ? library::tokensFingerprint(*parts->tokenizer) : std::string());
}

}  // namespace

base::Result<AdapterBase> openAdapterBase(const std::string& path) {
    AdapterBase out;
    out.path = path;
    if (!synth::isSpec(path) && platform::pathKind(path) == platform::PathKind::Folder) {
        CONCLAVE_TRY(const formats::HfFolder folder,
                     formats::openHfFolder(path, formats::Weights::WithWeights));
        CONCLAVE_TRY(out.outline, model::outlineOf(folder));
        out.architecture = model::ggufArchitecture(out.outline.config);
        out.fingerprint = fingerprintOf(out);
        return out;
    }
    CONCLAVE_TRY(const formats::GgufFile file, synth::openGguf(path));
    CONCLAVE_TRY(out.outline, model::outlineOf(file));
    CONCLAVE_TRY(out.architecture, file.text("general.architecture"));
    out.wholeKvB = std::ranges::any_of(out.outline.plan.places, [](const residency::Place& place) {
        return place.request.keep == residency::Keep::TransposedSlices;
    });
    out.fingerprint = fingerprintOf(out);
    return out;
}

base::Result<std::shared_ptr<const model::Adapter>> loadFor(const AdapterBase& base,
                                                            const formats::AdapterFile& file) {
    if (!file.baseFingerprint.empty()) {
        CONCLAVE_TRY_VOID(model::checkFingerprint(file.baseFingerprint, base.fingerprint, file.path,
                                                  file.fingerprintKey()));
    }
    return model::loadAdapter(file, base.outline.config, base.outline.matrices);
}

}  // namespace conclave::engine::offline
