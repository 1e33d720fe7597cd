#include "engine/cli/import_report.h"

#include <cstdio>

#include "engine/cli/terminal.h"

namespace conclave::engine::cli {

base::Result<quant::Format> importFormatOf(const std::string& name) {
    std::string known;
    for (const std::string& format : offline::importFormats()) {
        if (quant::fromName(format) == quant::fromName(name)) return *quant::fromName(format);
        known += (known.empty() ? "" : ", ") + format;
    }
    return base::Error{base::Code::OutOfRange, "", "--quant", {name, "one of " + known}};
}

void printImport(const offline::ImportReport& report) {
    std::string formats;
    for (const auto& [name, bytes] : report.formats)
        formats += (formats.empty() ? "" : ", ") + name + " " + readableBytes(bytes);
    std::printf("%s: %s, %llu tensors, %s (%s)\n", report.destination.c_str(), report.architecture.c_str(),
                static_cast<unsigned long long>(report.tensors), readableBytes(report.bytes).c_str(),
                formats.c_str());
    for (const std::string& name : report.fallbacks)
        std::printf("F16 because the block format does not divide its rows: %s\n", name.c_str());
    for (const std::string& name : report.skipped)
        std::printf("left out, answering does not need it: %s\n", name.c_str());
    for (const std::string& warning : report.warnings)
        std::printf("warning: %s\n", warning.c_str());
}

}  // namespace conclave::engine::cli
