#include <algorithm>
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

bool isForbidden(const RouteRule& rule, size_t expert) {
    return rule.logitBias != nullptr && rule.logitBias[expert] == kOut;
}

/// The logits as the options leave them; `out` is used where they change anything.
const float* steered(const RouteRule& rule, const float* logits, float* out) {
    if (rule.logitBias == nullptr && rule.temperature == 1) return logits;
    for (size_t e = 0; e < rule.experts; ++e) {
        const float logit = rule.logitBias == nullptr ? logits[e] : logits[e] + rule.logitBias[e];
        out[e] = isForbidden(rule, e) ? kOut : logit / rule.temperature;
    }
    return out;
}

/// Buffers of one worker, [experts] each.
struct Scratch {
    float *logits, *scores, *choice, *groups;
    bool* taken;

    static size_t bytes(size_t experts) { return experts * (4 * sizeof(float) + sizeof(bool)); }
    Scratch(std::byte* begin, size_t experts) {
        logits = reinterpret_cast<float*>(begin);
        scores = logits + experts;
        choice = scores + experts;
        groups = choice + experts;
        taken = reinterpret_cast<bool*>(groups + experts);
    }
};

void choose(const RouteRule& rule, const float* scores, const Scratch& scratch, float* choice,
            int32_t* experts) {
    for (size_t e = 0; e < rule.experts; ++e) {
        choice[e] = rule.bias == nullptr ? scores[e] : scores[e] + rule.bias[e];
        if (isForbidden(rule, e)) choice[e] = kOut;  // a correction bias may lift a score of 0
    }
    if (rule.groups > 1 && rule.chosenGroups < rule.groups)
        leaveOutGroups(rule, choice, scratch.groups, scratch.taken);
    for (size_t e = 0; e < rule.experts; ++e)
        scratch.taken[e] = isForbidden(rule, e);
    for (size_t n = 0; n < rule.chosen; ++n) {
        const size_t best = highest(choice, scratch.taken, rule.experts);
        scratch.taken[best] = true;
        experts[n] = static_cast<int32_t>(best);
    }
}

/// Takes the experts below the floor out of a row; the others move up.
void leaveOutWeak(const RouteRule& rule, const float* scores, int32_t* experts) {
    if (rule.floor == 0) return;
    float best = scores[experts[0]];
    for (size_t n = 1; n < rule.chosen; ++n)
        best = std::max(best, scores[experts[n]]);
    size_t kept = 0;
    for (size_t n = 0; n < rule.chosen; ++n)
        if (!(scores[experts[n]] < rule.floor * best)) experts[kept++] = experts[n];
    std::fill(experts + kept, experts + rule.chosen, -1);
}

void weigh(const RouteRule& rule, const float* scores, const int32_t* experts, float* weights, size_t slots) {
    float sum = 0;
    for (size_t n = 0; n < slots; ++n) {
        weights[n] = experts[n] < 0 ? 0 : scores[experts[n]];
        if (experts[n] >= 0) sum += weights[n];
    }
    if (rule.scores == RouteRule::Scores::Sigmoid) sum += 1e-20f;
    for (size_t n = 0; n < slots; ++n)
        if (experts[n] >= 0) weights[n] = (rule.normalise ? weights[n] / sum : weights[n]) * rule.scale;
}

void routeRow(const RouteArgs& args, size_t r, const Scratch& scratch) {
    const RouteRule& rule = args.rule;
    const size_t slots = args.slots == 0 ? rule.chosen : args.slots;
    float* scores = args.scores != nullptr ? args.scores + r * rule.experts : scratch.scores;
    float* choice = args.choice != nullptr ? args.choice + r * rule.experts : scratch.choice;
    int32_t* experts = args.experts + r * slots;
    const int32_t* forced = args.forced == nullptr ? nullptr : args.forced + r * slots;
    const bool softmax = rule.scores == RouteRule::Scores::Softmax;
    const float* logits = steered(rule, args.logits.row(r), scratch.logits);
    (softmax ? loops().softmax : loops().sigmoid)(logits, rule.experts, scores);
    if (forced != nullptr && forced[0] >= 0) {
        std::memcpy(experts, forced, slots * sizeof(int32_t));
    } else {
        choose(rule, scores, scratch, choice, experts);
        leaveOutWeak(rule, scores, experts);
        std::fill(experts + rule.chosen, experts + slots, -1);
    }
    weigh(rule, scores, experts, args.weights + r * slots, slots);
}

}  // namespace

void route(Launch& launch, const RouteArgs& args) {
    const size_t experts = args.rule.experts;
    overWorkers(launch, args.logits.rows * experts * 16, [&](size_t worker, size_t workers) {
        const Scratch scratch(workerScratch(launch, 0, Scratch::bytes(experts), worker), experts);
        const platform::Range range = platform::share(args.logits.rows, worker, workers);
        for (size_t r = range.begin; r < range.end; ++r)
            routeRow(args, r, scratch);
    });
}

}  // namespace conclave::engine::kernels::reference
