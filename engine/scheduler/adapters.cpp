#include "engine/scheduler/adapters.h"

#include <algorithm>
#include <limits>

namespace conclave::engine::scheduler {
namespace {

/// Where the last occurrence of `what` in `text` begins (arXiv 2504.12397); past every position without one.
uint32_t lastOf(const std::vector<base::TokenId>& what, const std::vector<base::TokenId>& text) {
    const auto found = std::find_end(text.begin(), text.end(), what.begin(), what.end());
    return found == text.end() ? std::numeric_limits<uint32_t>::max()
                               : static_cast<uint32_t>(found - text.begin());
}

}  // namespace

SequenceAdapters::SequenceAdapters(const GenerationRequest& request) : key(library::keyOf(request.adapters)) {
    for (const library::AdapterUse& use : request.adapters) {
        if (use.strength == 0) continue;
        const std::vector<base::TokenId>& invocation = use.adapter->adapter->invocation;
        if (!invocation.empty()) from = lastOf(invocation, request.prompt);
        uses.push_back({use.adapter->adapter.get(), use.strength});
    }
}

}  // namespace conclave::engine::scheduler
