#include "engine/scheduler/batch.h"

#include <algorithm>

namespace conclave::engine::scheduler {
namespace {

/// Most prompt tokens of a sequence of the best priority: halved for each time in a row that their steps were
/// interrupted, so that less is lost each time and the step that may not be interrupted is short.
uint32_t chunkAfterInterruptions(std::span<Sequence* const> running, uint32_t chunk) {
    uint32_t times = 0;
    for (const Sequence* sequence : running)
        if (sequence->request.priority == running.front()->request.priority)
            times = std::max(times, sequence->interrupted);
    return std::max(1u, chunk >> std::min(times, kMostInterruptions));
}

bool waitedLong(const Sequence& sequence, uint64_t step) {
    return step > std::max(sequence.lastStep, sequence.admittedStep) + kPatience;
}

}  // namespace

std::vector<BatchPart> planBatch(std::span<Sequence* const> running, const BatchLimits& limits) {
    constexpr uint32_t kLowerShare = 16;
    std::vector<Sequence*> decoding, prompts;
    for (Sequence* sequence : running)
        (sequence->decodes() ? decoding : prompts).push_back(sequence);

    // Prompts keep an eighth of the rows, so that a full house of answers cannot shut them out.
    const uint32_t kept = prompts.empty() || limits.rows < 2 ? 0 : std::max(1u, limits.rows / 8);
    uint32_t left = limits.rows;
    std::vector<BatchPart> parts;
    std::ranges::stable_sort(decoding, [](const Sequence* a, const Sequence* b) {
        return a->request.priority != b->request.priority ? a->request.priority < b->request.priority
                                                          : a->lastStep < b->lastStep;
    });
    for (Sequence* sequence : decoding) {
        if (left == kept) break;
        parts.push_back({sequence, 1});
        --left;
    }
    const uint32_t wholeChunk = chunkAfterInterruptions(running, limits.chunk);
    for (Sequence* sequence : prompts) {
        const base::Priority priority = sequence->request.priority;
        if (priority != prompts.front()->request.priority && !waitedLong(*sequence, limits.step)) continue;
        const bool goesFirst = priority == running.front()->request.priority;
        const uint32_t chunk = goesFirst ? wholeChunk : std::max(1u, limits.chunk / kLowerShare);
        const uint32_t rows = std::min({left, chunk, sequence->todo()});
        if (rows == 0) break;
        parts.push_back({sequence, rows});
        left -= rows;
    }
    std::ranges::sort(
        parts, [](const BatchPart& a, const BatchPart& b) { return goesBefore(*a.sequence, *b.sequence); });
    return parts;
}

std::vector<std::vector<Sequence*>> modelsInOrder(std::span<Sequence* const> running, uint64_t step) {
    struct Group {
        std::vector<Sequence*> sequences;
        uint64_t servedStep = 0, admittedStep = 0;
        uint64_t since() const { return servedStep > 0 ? servedStep : admittedStep; }
        bool waitedLong(uint64_t now) const { return now - since() > kPatience; }
    };
    std::vector<Group> groups;
    for (Sequence* sequence : running) {
        const auto same = [&](const Group& group) {
            return &group.sequences.front()->model() == &sequence->model();
        };
        auto group = std::ranges::find_if(groups, same);
        if (group == groups.end()) group = groups.insert(groups.end(), Group{{}, 0, sequence->admittedStep});
        group->sequences.push_back(sequence);
        group->servedStep = std::max(group->servedStep, sequence->lastStep);
        group->admittedStep = std::min(group->admittedStep, sequence->admittedStep);
    }
    std::ranges::stable_sort(groups, [&](const Group& a, const Group& b) {
        if (a.waitedLong(step) != b.waitedLong(step)) return a.waitedLong(step);
        const auto priority = [](const Group& group) { return group.sequences.front()->request.priority; };
        return priority(a) != priority(b) ? priority(a) < priority(b) : a.since() < b.since();
    });
    std::vector<std::vector<Sequence*>> out;
    out.reserve(groups.size());
    for (Group& group : groups)
        out.push_back(std::move(group.sequences));
    return out;
}

}  // namespace conclave::engine::scheduler
