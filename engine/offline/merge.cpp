#include "engine/offline/merge.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <utility>

#include "engine/formats/adapter_file.h"
#include "engine/library/adapter_facts.h"
#include "engine/offline/adapter_base.h"
#include "engine/offline/destination.h"
#include "engine/offline/merge_gguf.h"
#include "engine/platform/file.h"
#include "engine/synth/synth.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;

Result<std::shared_ptr<const model::Adapter>> openAdapterFor(const std::string& path,
                                                             const AdapterBase& base) {
    CONCLAVE_TRY(const formats::AdapterFile file, formats::openAdapter(path));
    if (!file.invocationTokens.empty())
        return Error{Code::UnsupportedOption,
                     path,
                     "alora_invocation_tokens",
                     {"merging an adapter that works only from its invocation tokens on",
                      "load it beside the model instead"}};
    return loadFor(base, file);
}

/// The model's own file must not be what is replaced.
Result<void> checkOther(const MergeOptions& options) {
    std::error_code failed;
    if (!synth::isSpec(options.model) &&
        std::filesystem::equivalent(options.model, options.destination, failed) && !failed)
        return Error{Code::BadArgument,
                     "",
                     options.destination,
                     {"is the model itself; give the merged model another name"}};
    return checkDestination(options.destination);
}

}  // namespace

Result<MergeReport> mergeAdapters(const MergeOptions& options,
                                  const std::function<void(uint64_t done, uint64_t total)>& progress) {
    if (options.adapters.empty())
        return Error{Code::BadArgument, "", "--adapter", {"name at least one adapter to merge"}};
    CONCLAVE_TRY_VOID(checkImportFormat(options.quant));
    CONCLAVE_TRY_VOID(checkOther(options));
    CONCLAVE_TRY(const AdapterBase base, openAdapterBase(options.model));
    MergeReport report;
    Additions additions;
    std::vector<std::string> warnings;
    for (const MergeOptions::Use& use : options.adapters) {
        CONCLAVE_TRY(auto adapter, openAdapterFor(use.path, base));
        report.adapters.push_back({use.path, use.strength, adapter->counts});
        std::ranges::move(library::warningsOf(use.path, adapter->changesNothing),
                          std::back_inserter(warnings));
        additions.add(std::move(adapter), use.strength);
    }
    if (base.outline.matrices.naming == model::Naming::HuggingFace) {
        CONCLAVE_TRY(report.written, importModel({.source = options.model,
                                                  .destination = options.destination,
                                                  .quant = options.quant,
                                                  .additions = &additions},
                                                 progress));
    } else {
        CONCLAVE_TRY(report.written, mergeGguf(options, additions, progress));
    }
    report.written.warnings.insert(report.written.warnings.begin(), warnings.begin(), warnings.end());
    return report;
}

nlohmann::ordered_json toJson(const MergeReport& report) {
    nlohmann::ordered_json out = toJson(report.written);
    out["adapters"] = nlohmann::ordered_json::array();
    for (const MergeReport::Merged& merged : report.adapters)
        out["adapters"].push_back({{"path", merged.path},
                                   {"scale", merged.strength},
                                   {"pairs", merged.counts.pairs},
                                   {"matrices", merged.counts.matrices}});
    return out;
}

}  // namespace conclave::engine::offline
