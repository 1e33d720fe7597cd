#pragma once

#include "engine/protocol/metrics_text.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {

/// How evenly the experts of each loaded model were used in the last protocol::kExpertWindow tokens of all
/// owners, layer by layer, each figure beside what an even router would show. Not by expert: DeepSeek-V3
/// would have 14,848 series; GET /conclave/v1/experts tells those.
void writeExperts(protocol::MetricsText& out, const Context& context);

}  // namespace conclave::engine::server
