#include "engine/offline/import_metadata.h"

#include <string>

#include "engine/formats/json_fields.h"

namespace conclave::engine::offline {

using base::Result;
using formats::GgufScalar;
using formats::HfFolder;
using formats::JsonFields;

Result<Metadata> samplingKeys(const HfFolder& folder) {
    Metadata out;
    if (!folder.generationConfig) return out;
    const JsonFields f(*folder.generationConfig, folder.path + "/generation_config.json");
    const auto number = [&](const char* field, const char* key) -> Result<void> {
        if (!f.has(field)) return {};
        CONCLAVE_TRY(const double value, f.number(field));
        out.emplace_back(std::string("general.sampling.") + key, GgufScalar(static_cast<float>(value)));
        return {};
    };
    CONCLAVE_TRY(const bool samples, f.flag("do_sample", true));
    if (samples)
        CONCLAVE_TRY_VOID(number("temperature", "temp"));
    else
        out.emplace_back("general.sampling.temp", GgufScalar(0.0f));
    if (f.has("top_k")) {
        CONCLAVE_TRY(const double value, f.number("top_k"));
        if (value >= 0 && value < 1e9)
            out.emplace_back("general.sampling.top_k", GgufScalar(static_cast<int32_t>(value)));
    }
    CONCLAVE_TRY_VOID(number("top_p", "top_p"));
    CONCLAVE_TRY_VOID(number("min_p", "min_p"));
    if (f.has(
            "repetition_penalty")) {  // of the whole text there; readers of GGUF would look back at 64 tokens
        CONCLAVE_TRY_VOID(number("repetition_penalty", "penalty_repeat"));
        out.emplace_back("general.sampling.penalty_last_n", GgufScalar(int32_t{-1}));
    }
    return out;
}

}  // namespace conclave::engine::offline
