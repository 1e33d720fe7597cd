#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/scheduler/adapters.h"
#include "engine/scheduler/answer.h"
#include "engine/scheduler/expert_tally.h"
#include "engine/scheduler/page_pool.h"
#include "engine/scheduler/prefix_cache.h"
#include "engine/scheduler/scheduler.h"

namespace conclave::engine::scheduler {

constexpr uint32_t kMostInterruptions = 4;

/// One generation from its submission to its Finished event. Only the scheduler's thread touches it.
struct Sequence {
    Sequence(base::SequenceId id, GenerationRequest from, uint64_t seed, uint32_t limit,
             ModelMetrics& metrics)
        : id(id), request(std::move(from)), seed(seed), metrics(metrics), adapters(request),
          routerKey(model::keyOf(request.router)), tokens(request.prompt), answer(id, request, limit),
          experts(request) {}
    Sequence(const Sequence&) = delete;
    Sequence& operator=(const Sequence&) = delete;

    const base::SequenceId id;
    GenerationRequest request;
    const uint64_t seed;
    ModelMetrics& metrics;
    const SequenceAdapters adapters;
    const std::string routerKey;                        ///< of its pages; empty: as trained
    std::chrono::steady_clock::time_point lastToken{};  ///< or when it was submitted
    std::vector<base::TokenId> tokens;                  ///< the prompt, then what was generated
    Answer answer;
    ExpertTally experts;

    bool running = false;  ///< admitted; otherwise it waits and holds no pages
    bool wasAdmitted = false;
    uint32_t computed = 0;      ///< positions stored in the pages
    uint32_t cachedTokens = 0;  ///< of the prompt, found computed when it was first admitted
    uint64_t admittedStep = 0;  ///< number of the step before which it was last admitted
    uint64_t lastStep = 0;      ///< number of the last step it took part in; 0 = none
    /// Its steps that were interrupted for a higher priority, less those that came to their end since; at
    /// most kMostInterruptions, and then its next step is not interrupted.
    uint32_t interrupted = 0;
    std::vector<PageId> pages;
    std::vector<std::byte*> pageData;      ///< of `pages`, as the model wants them
    std::vector<PrefixCache::Node> nodes;  ///< of the first pages: those that are in the prefix cache

    const model::Model& model() const { return *request.model->model; }
    /// Pages under a cap on experts depend on the steps that computed them.
    bool sharesPages() const { return model().expertCap == 0; }
    size_t pageBytes() const { return model().kv.pageBytes; }
    uint32_t todo() const { return static_cast<uint32_t>(tokens.size()) - computed; }
    /// In the middle of an answer: the last token alone is not yet computed.
    bool decodes() const { return answer.generated() > 0 && todo() == 1; }
};

/// The order of everything: priority, then who came first.
inline bool goesBefore(const Sequence& a, const Sequence& b) {
    return a.request.priority != b.request.priority ? a.request.priority < b.request.priority : a.id < b.id;
}

}  // namespace conclave::engine::scheduler
