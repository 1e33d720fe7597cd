#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/offline/import.h"

namespace conclave::engine::cli {

/// The format that --quant asks for. Errors: OutOfRange.
base::Result<quant::Format> importFormatOf(const std::string& name);

/// Shows what was written.
void printImport(const offline::ImportReport& report);

}  // namespace conclave::engine::cli
