#include "engine/model/router_options.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <span>

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;
using Bias = RouterOptions::Bias;

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

std::string shown(float value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", double{value});
    return text;
}

Error outOfRange(const std::string& field, const std::string& value, const std::string& must) {
    return {Code::OutOfRange, {}, "router." + field, {value, must}};
}

/// Experts that the groups which may be chosen hold.
uint32_t reachable(const kernels::RouteRule& rule) {
    return rule.experts / rule.groups * rule.chosenGroups;
}

Result<void> checkNumbers(const RouterOptions& options, const ModelConfig& c, const std::string& model) {
    if (!(options.temperature >= kLeastTemperature && options.temperature <= kMostTemperature))
        return outOfRange("temperature", shown(options.temperature), "from 0.05 to 20");
    if (!(options.floor >= 0 && options.floor < 1))
        return outOfRange("floor", shown(options.floor), "at least 0 and less than 1");
    const uint32_t most = reachable(c.route);
    if (options.active > most)
        return outOfRange("active", std::to_string(options.active),
                          "from 1 to the " + std::to_string(most) + " experts that a token of " + model +
                              " can reach");
    return {};
}

Result<void> checkBias(const Bias& bias, const ModelConfig& c, const std::string& model) {
    if (bias.expert >= c.experts)
        return outOfRange("bias.expert", std::to_string(bias.expert),
                          "from 0 to " + std::to_string(c.experts - 1));
    if (bias.layer && (*bias.layer >= c.layers || c.moeLayer[*bias.layer] == 0)) {
        std::string first, last;
        for (uint32_t layer = 0; layer < c.layers; ++layer)
            if (c.moeLayer[layer] != 0) {
                if (first.empty()) first = std::to_string(layer);
                last = std::to_string(layer);
            }
        return outOfRange("bias.layer", std::to_string(*bias.layer),
                          "a layer of " + model + " that has experts, which lie in layers " + first + " to " +
                              last);
    }
    if (!(std::abs(bias.value) <= kMostLogitBias) && bias.value != kForbidden)
        return outOfRange("bias.value", shown(bias.value), "from -1000 to 1000");
    return {};
}

/// One bias for each layer and expert, in order.
std::vector<Bias> spread(const std::vector<Bias>& biases, const ModelConfig& c) {
    std::vector<Bias> all;
    for (const Bias& bias : biases)
        for (uint32_t layer = 0; layer < c.layers; ++layer)
            if (c.moeLayer[layer] != 0 && bias.layer.value_or(layer) == layer)
                all.push_back({layer, bias.expert, bias.value});
    std::ranges::sort(all);  // values too, so that their order in the request does not change their sum
    std::vector<Bias> out;
    for (size_t at = 0; at < all.size();) {
        double sum = 0;
        const size_t first = at;
        for (; at < all.size() && all[at].layer == all[first].layer && all[at].expert == all[first].expert;
             ++at)
            sum += double{all[at].value};
        if (const auto value = static_cast<float>(sum); value != 0)
            out.push_back({all[first].layer, all[first].expert, value});
    }
    return out;
}

/// The fewest experts that a layer's choice can find among the groups that may be left. Groups whose score is
/// −infinity come last: all are forbidden, or all but one where the two best count.
uint32_t fewestLeft(std::span<const Bias> layer, const kernels::RouteRule& rule) {
    const uint32_t size = rule.experts / rule.groups;
    std::vector<uint32_t> left(rule.groups, size);
    for (const Bias& bias : layer)
        if (bias.value == kForbidden) --left[bias.expert / size];
    if (rule.groups == 1 || rule.chosenGroups == rule.groups) {
        uint32_t sum = 0;
        for (const uint32_t count : left)
            sum += count;
        return sum;
    }
    const uint32_t needed =
        rule.groupScore == kernels::RouteRule::GroupScore::SumOfBestTwo && size >= 2 ? 2 : 1;
    std::erase_if(left, [&](uint32_t count) { return count < needed; });
    std::ranges::sort(left);
    uint32_t sum = 0;
    for (size_t i = 0; i < std::min<size_t>(left.size(), rule.chosenGroups); ++i)
        sum += left[i];
    return sum;
}

Result<void> checkLeft(const RouterOptions& canonical, const ModelConfig& c) {
    const uint32_t active = activeExperts(&canonical, c);
    for (size_t at = 0; at < canonical.biases.size();) {
        size_t end = at;
        while (end < canonical.biases.size() && canonical.biases[end].layer == canonical.biases[at].layer)
            ++end;
        const uint32_t left = fewestLeft(std::span(canonical.biases).subspan(at, end - at), c.route);
        if (left < active) {
            const std::string where = "layer " + std::to_string(*canonical.biases[at].layer);
            return Error{Code::BadArgument,
                         {},
                         "router.bias",
                         {"leaves " + std::to_string(left) + " to choose from in " + where + ", where " +
                          std::to_string(active) + " experts work on a token; forbid fewer"}};
        }
        at = end;
    }
    return {};
}

}  // namespace

Result<RouterOptions> canonicalRouter(const RouterOptions& options, const ModelConfig& config,
                                      const std::string& model) {
    if (options == RouterOptions()) return options;
    if (config.experts == 0)
        return Error{
            Code::BadArgument, {}, "router", {model + " is a dense model and has no experts to steer"}};
    CONCLAVE_TRY_VOID(checkNumbers(options, config, model));
    for (const Bias& bias : options.biases)
        CONCLAVE_TRY_VOID(checkBias(bias, config, model));
    RouterOptions out = options;
    if (out.active == config.chosenExperts) out.active = 0;
    if (out.floor == 0) out.floor = 0;  // no −0
    out.biases = spread(options.biases, config);
    CONCLAVE_TRY_VOID(checkLeft(out, config));
    return out;
}

std::string keyOf(const RouterOptions& canonical) {
    if (canonical == RouterOptions()) return {};
    char text[64];
    std::snprintf(text, sizeof text, "t%08x a%u f%08x", std::bit_cast<uint32_t>(canonical.temperature),
                  canonical.active, std::bit_cast<uint32_t>(canonical.floor));
    std::string key = text;
    for (const Bias& bias : canonical.biases) {
        std::snprintf(text, sizeof text, " %u:%u:%08x", *bias.layer, bias.expert,
                      std::bit_cast<uint32_t>(bias.value));
        key += text;
    }
    return key;
}

}  // namespace conclave::engine::model
