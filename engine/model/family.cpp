#include "engine/model/family.h"

namespace conclave::engine::model {
namespace {

// The list of architectures.
constexpr const Family* kFamilies[] = {&kDeepseek, &kMixtral, &kQwen3Moe, &kOlmoe, &kDense};

}  // namespace

const Family& familyOf(const ModelConfig& config) {
    for (const Family* family : kFamilies)
        if (family->name == config.architecture) return *family;
    base::checkFailed("a checked configuration names a known family", __FILE__, __LINE__);
}

}  // namespace conclave::engine::model
