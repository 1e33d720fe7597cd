#include "engine/offline/adapter_convert.h"

#include "engine/formats/adapter_file.h"
#include "engine/offline/adapter_base.h"
#include "engine/offline/adapter_to_gguf.h"
#include "engine/offline/adapter_to_peft.h"

namespace conclave::engine::offline {

using base::Code;
using base::Error;
using base::Result;
using formats::AdapterFile;
using quant::Format;

Result<ConvertReport> convertAdapter(const ConvertOptions& options) {
    if (options.model.empty())
        return Error{
            Code::BadArgument,
            "",
            "--model",
            {"is missing; names, shapes and the order of rows are those of the model that the adapter "
             "was made for, so say which"}};
    if (options.format && *options.format != Format::F32 && *options.format != Format::F16 &&
        *options.format != Format::BF16)
        return Error{
            Code::BadArgument,
            "",
            "--dtype",
            {std::string(quant::info(*options.format).name) + " is not written; f32, f16 and bf16 are"}};
    CONCLAVE_TRY(const AdapterFile file, formats::openAdapter(options.source));
    CONCLAVE_TRY(const AdapterBase base, openAdapterBase(options.model));
    CONCLAVE_TRY(const auto adapter, loadFor(base, file));
    CONCLAVE_TRY(ConvertReport report, file.kind == AdapterFile::Kind::Peft
                                           ? adapterToGguf(*adapter, base, options)
                                           : adapterToPeft(*adapter, base, options));
    report.destination = options.destination;
    report.architecture = base.architecture;
    report.matrices = adapter->counts.matrices;
    return report;
}

nlohmann::ordered_json toJson(const ConvertReport& report) {
    return {
        {"path", report.destination}, {"form", report.form},         {"architecture", report.architecture},
        {"pairs", report.pairs},      {"matrices", report.matrices}, {"bytes", report.bytes},
        {"alpha", report.alpha},      {"rounded", report.rounded},   {"folded", report.folded},
        {"notes", report.notes}};
}

}  // namespace conclave::engine::offline
