#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/formats/adapter_file.h"

namespace conclave::engine::formats {

/// openAdapter for PEFT's folders. Fields of adapter_config.json that are not known and say something are
/// UnsupportedOption too.
base::Result<AdapterFile> openPeftAdapter(const std::string& folder);

}  // namespace conclave::engine::formats
