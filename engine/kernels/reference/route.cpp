#include <cstring>
#include <limits>

#include "engine/kernels/reference/loops.h"
#include "engine/kernels/reference/operations.h"
#include "engine/kernels/reference/work.h"

namespace conclave::engine::kernels::reference {
namespace {

constexpr float kOut = -std::numeric_limits<float>::infinity();

/// The highest of values[0 … count - 1] that is not taken, the lower index among equals; the first free one
/// where all are NaN, so that the answer is always an index.
size_t highest(const float* values, const bool* taken, size_t count) {
    size_t best = count;
    for (size_t i = 0; i < count; ++i)
        if (!taken[i] && (best == count || values[i] > values[best])) best = i;
    return best;
}

float groupScore(RouteRule::GroupScore rule, const float* choice, size_t count) {
    float first = kOut, second = kOut;
    for (size_t i = 0; i < count; ++i) {
        if (choice[i] > first) {
            second = first;
            first = choice[i];
        } else if (choice[i] > second) {
            second = choice[i];
        }
    }
    return rule == RouteRule::GroupScore::Best || count < 2 ? first : first + second;
}

/// Sets the choice scores of all experts outside the best groups to -infinity.
void leaveOutGroups(const RouteRule& rule, float* choice, float* groupScores, bool* taken) {
    const size_t size = rule.experts / rule.groups;
    for (size_t g = 0; g < rule.groups; ++g) {
        groupScores[g] = groupScore(rule.groupScore, choice + g * size, size);
        taken[g] = false;
    }
    for (size_t n = 0; n < rule.chosenGroups; ++n)
        taken[highest(groupScores, taken, rule.groups)] = true;
    for (size_t g = 0; g < rule.groups; ++g)
        if (!taken[g])
            for (size_t i = 0; i < size; ++i)
                choice[g * size + i] = kOut;
}

void choose(const RouteRule& rule, const float* scores, std::byte* scratch, int32_t* experts) {
    auto* choice = reinterpret_cast<float*>(scratch);
    auto* groupScores = choice + rule.experts;
    auto* taken = reinterpret_cast<bool*>(groupScores + rule.experts);
    for (size_t e = 0; e < rule.experts; ++e)
        choice[e] = rule.bias == nullptr ? scores[e] : scores[e] + rule.bias[e];
    if (rule.groups > 1 && rule.chosenGroups < rule.groups) leaveOutGroups(rule, choice, groupScores, taken);
    std::memset(taken, 0, rule.experts);
    for (size_t n = 0; n < rule.chosen; ++n) {
        const size_t best = highest(choice, taken, rule.experts);
        taken[best] = true;
        experts[n] = static_cast<int32_t>(best);
    }
}

void weigh(const RouteRule& rule, const float* scores, const int32_t* experts, float* weights) {
    float sum = 0;
    for (size_t n = 0; n < rule.chosen; ++n) {
        weights[n] = scores[experts[n]];
        sum += weights[n];
    }
    if (rule.scores == RouteRule::Scores::Sigmoid) sum += 1e-20f;
    for (size_t n = 0; n < rule.chosen; ++n)
        weights[n] = (rule.normalise ? weights[n] / sum : weights[n]) * rule.scale;
}

}  // namespace

void route(Launch& launch, const RouteArgs& args) {
    const RouteRule& rule = args.rule;
    const size_t perWorker = size_t{rule.experts} * (3 * sizeof(float) + sizeof(bool));
    overWorkers(launch, args.logits.rows * size_t{rule.experts} * 16, [&](size_t worker, size_t workers) {
        std::byte* scratch = workerScratch(launch, 0, perWorker, worker);
        const platform::Range range = platform::share(args.logits.rows, worker, workers);
        for (size_t r = range.begin; r < range.end; ++r) {
            float* scores =
                args.scores != nullptr ? args.scores + r * rule.experts : reinterpret_cast<float*>(scratch);
            int32_t* experts = args.experts + r * rule.chosen;
            const int32_t* forced = args.forced == nullptr ? nullptr : args.forced + r * rule.chosen;
            const bool softmax = rule.scores == RouteRule::Scores::Softmax;
            (softmax ? loops().softmax : loops().sigmoid)(args.logits.row(r), rule.experts, scores);
            if (forced != nullptr && forced[0] >= 0)
                std::memcpy(experts, forced, rule.chosen * sizeof(int32_t));
            else
                choose(rule, scores, scratch + rule.experts * sizeof(float), experts);
            weigh(rule, scores, experts, args.weights + r * rule.chosen);
        }
    });
}

}  // namespace conclave::engine::kernels::reference
