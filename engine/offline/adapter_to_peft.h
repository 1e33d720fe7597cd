#pragma once

#include "engine/base/result.h"
#include "engine/model/adapter.h"
#include "engine/offline/adapter_base.h"
#include "engine/offline/adapter_convert.h"

namespace conclave::engine::offline {

/// convertAdapter() into a PEFT folder, for an adapter that was loaded for `base`: one pair a module, experts
/// one by one, without the zeros that stacks are filled up with. Source: PEFT's tuners/lora/config.py and
/// utils/save_and_load.py.
base::Result<ConvertReport> adapterToPeft(const model::Adapter& adapter, const AdapterBase& base,
                                          const ConvertOptions& options);

}  // namespace conclave::engine::offline
