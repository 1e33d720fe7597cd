#include "engine/model/config_limits.h"

#include <algorithm>
#include <cmath>

namespace conclave::engine::model {
namespace {

using base::Error;
using base::Result;

/// One promise: `holds`, or the field, its value and what is needed.
struct Promise {
    bool holds;
    const char* field;
    uint64_t value;
    std::string needs;
};

Result<void> firstBroken(std::initializer_list<Promise> promises, const std::string& file) {
    for (const Promise& promise : promises)
        if (!promise.holds)
            return valueOutOfRange(file, promise.field, std::to_string(promise.value), promise.needs);
    return {};
}

Result<void> checkExperts(const ModelConfig& c, const std::string& file) {
    const kernels::RouteRule& rule = c.route;
    if (rule.groups == 0 || rule.experts % rule.groups != 0)
        return valueOutOfRange(file, "expert groups", std::to_string(rule.groups),
                               "a divisor of " + std::to_string(rule.experts) + " experts");
    const uint64_t reachable = uint64_t{rule.experts} / rule.groups * rule.chosenGroups;
    return firstBroken(
        {{rule.chosenGroups >= 1 && rule.chosenGroups <= rule.groups, "chosen expert groups",
          rule.chosenGroups, "1 to " + std::to_string(rule.groups) + " groups"},
         {c.chosenExperts >= 1 && c.chosenExperts <= reachable, "chosen experts", c.chosenExperts,
          "1 to the " + std::to_string(reachable) + " that the chosen groups hold"},
         {c.expertIntermediate > 0, "expert width", c.expertIntermediate, "at least 1"}},
        file);
}

Result<void> checkRope(const RopeConfig& rope, const std::string& file) {
    if (!(rope.theta > 1) || !std::isfinite(rope.theta))
        return valueOutOfRange(file, "rope theta", std::to_string(rope.theta), "above 1");
    if (!(rope.factor > 0) || !std::isfinite(rope.factor))
        return valueOutOfRange(file, "rope scaling factor", std::to_string(rope.factor), "above 0");
    if (!(rope.attentionFactor > 0) || !std::isfinite(rope.attentionFactor))
        return valueOutOfRange(file, "rope attention factor", std::to_string(rope.attentionFactor),
                               "above 0");
    const bool scaled =
        rope.scaling == RopeConfig::Scaling::Yarn || rope.scaling == RopeConfig::Scaling::Llama3;
    return firstBroken({{rope.dim % 2 == 0, "rotated dimensions", rope.dim, "an even number"},
                        {!scaled || rope.originalContext > 0, "original context of the rope scaling",
                         rope.originalContext, "at least 1"},
                        {rope.divisors.empty() || rope.divisors.size() == rope.dim / 2, "rope_freqs",
                         rope.divisors.size(), "half as many values as rotated dimensions"}},
                       file);
}

}  // namespace

Error valueOutOfRange(const std::string& file, const std::string& field, const std::string& value,
                      const std::string& range) {
    return {base::Code::ValueOutOfRange, file, field, {value, range}};
}

Result<void> checkConfig(const ModelConfig& c, const std::string& file) {
    const bool latent = c.latentRank > 0;
    const uint64_t keptValues =
        latent ? uint64_t{c.latentRank} + c.ropeDim : uint64_t{c.kvHeads} * (uint64_t{c.keyDim} + c.valueDim);
    CONCLAVE_CHECK(c.windows.size() == c.layers && c.moeLayer.size() == c.layers);
    const bool dense = std::find(c.moeLayer.begin(), c.moeLayer.end(), 0) != c.moeLayer.end();
    CONCLAVE_TRY_VOID(firstBroken(
        {{!dense || c.intermediate > 0, "width of the dense layers", c.intermediate, "at least 1"},
         {uint64_t{c.heads} * (uint64_t{c.latentRank} + c.ropeDim) <= kMostValues,
          "heads times the latent's rank", uint64_t{c.heads} * (uint64_t{c.latentRank} + c.ropeDim),
          "at most 1048576"},
         {c.kvHeads > 0 && c.heads % c.kvHeads == 0, "key and value heads", c.kvHeads,
          "a divisor of " + std::to_string(c.heads) + " heads"},
         {c.keyDim > 0 && c.keyDim <= kMostHeadValues, "key length of a head", c.keyDim, "1 to 4096"},
         {c.valueDim > 0 && c.valueDim <= kMostHeadValues, "value length of a head", c.valueDim, "1 to 4096"},
         {uint64_t{c.heads} * c.keyDim <= kMostValues, "heads times their length",
          uint64_t{c.heads} * c.keyDim, "at most 1048576"},
         {uint64_t{c.heads} * c.valueDim <= kMostValues, "heads times their length",
          uint64_t{c.heads} * c.valueDim, "at most 1048576"},
         {c.rope.dim <= c.keyDim, "rotated dimensions", c.rope.dim,
          "at most the key length " + std::to_string(c.keyDim)},
         {!latent || (c.nopeDim > 0 && c.ropeDim > 0), "key length of a head", c.keyDim,
          "more than the " + std::to_string(c.ropeDim) + " rotated dimensions"},
         {keptValues * c.layers <= (uint64_t{1} << 31) / kernels::kPagePositions,
          "cached values of a position", keptValues * c.layers, "at most 33554432 in all layers"}},
        file));
    CONCLAVE_TRY_VOID(checkRope(c.rope, file));
    if (c.experts > 0) return checkExperts(c, file);
    return {};
}

}  // namespace conclave::engine::model
