#include "engine/model/expert_load.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace conclave::engine::model {
namespace {

uint64_t sumOf(std::span<const uint32_t> counts) {
    return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

double meanOf(std::span<const uint32_t> counts) {
    return static_cast<double>(sumOf(counts)) / static_cast<double>(counts.size());
}

double xLogX(double x) {
    return x > 0 ? x * std::log(x) : 0;
}

/// The part of a binomial distribution that matters: P(first + i).
struct Binomial {
    uint64_t first = 0;
    std::vector<double> probability;
};

/// Outwards from the mode, by the ratio of neighbours, down to 1e-18 of it.
Binomial binomial(uint64_t trials, double chance) {
    constexpr double kLeast = 1e-18;
    const auto mode =
        std::min(trials, static_cast<uint64_t>(std::floor(static_cast<double>(trials + 1) * chance)));
    const double odds = chance / (1 - chance);
    std::vector<double> below;
    double value = 1;
    for (uint64_t k = mode; k > 0; --k) {
        value *= static_cast<double>(k) / (static_cast<double>(trials - k + 1) * odds);
        if (value < kLeast) break;
        below.push_back(value);
    }
    Binomial out{mode - below.size(), {below.rbegin(), below.rend()}};
    out.probability.push_back(value = 1);
    for (uint64_t k = mode; k < trials; ++k) {
        value *= static_cast<double>(trials - k) / static_cast<double>(k + 1) * odds;
        if (value < kLeast) break;
        out.probability.push_back(value);
    }
    const double sum = std::accumulate(out.probability.begin(), out.probability.end(), 0.0);
    for (double& p : out.probability)
        p /= sum;
    return out;
}

/// Mean of the largest of so many counts whose sum is fixed.
double meanLargest(const Binomial& count, double mean, uint32_t experts) {
    const auto among = static_cast<double>(experts);
    double largest = static_cast<double>(count.first), atMost = 0;
    for (const double p : count.probability) {
        atMost = std::min(1.0, atMost + p);
        largest += 1 - std::pow(atMost, among);
    }
    return std::max(std::ceil(mean), mean + std::sqrt(among / (among - 1)) * (largest - mean));
}

/// Numbers of the experts, busiest first, equals ascending.
std::vector<uint32_t> byLoad(std::span<const uint32_t> counts) {
    std::vector<uint32_t> out(counts.size());
    std::iota(out.begin(), out.end(), 0u);
    std::ranges::stable_sort(out, [&](uint32_t a, uint32_t b) { return counts[a] > counts[b]; });
    return out;
}

}  // namespace

std::optional<LoadFigures> loadOf(std::span<const uint32_t> counts) {
    const uint64_t picks = sumOf(counts);
    if (picks == 0) return std::nullopt;
    const double mean = meanOf(counts);
    double squares = 0, logs = 0;
    for (const uint32_t count : counts) {
        squares += (count - mean) * (count - mean);
        logs += xLogX(count);
    }
    const auto total = static_cast<double>(picks), experts = static_cast<double>(counts.size());
    LoadFigures out;
    out.maxVio = *std::ranges::max_element(counts) / mean - 1;
    out.cv = std::sqrt(squares / experts) / mean;
    out.entropy = counts.size() == 1 ? 1 : (std::log(total) - logs / total) / std::log(experts);
    out.dead = static_cast<double>(hardlyUsed(counts).size());
    return out;
}

LoadFigures evenLoad(uint64_t tokens, uint64_t picks, uint32_t experts) {
    const auto total = static_cast<double>(picks), among = static_cast<double>(experts);
    const double mean = total / among, chance = mean / static_cast<double>(tokens);
    if (chance >= 1) return {.maxVio = 0, .cv = 0, .entropy = 1, .dead = 0};  // every expert, every time
    const Binomial count = binomial(tokens, chance);
    double logs = 0, dead = 0;
    for (size_t i = 0; i < count.probability.size(); ++i) {
        const auto value = static_cast<double>(count.first + i);
        logs += count.probability[i] * xLogX(value);
        if (value < kDeadShare * mean) dead += count.probability[i];
    }
    const double largest = std::min(meanLargest(count, mean, experts), static_cast<double>(tokens));
    return {.maxVio = largest / mean - 1,
            .cv = std::sqrt((1 - chance) / mean),
            .entropy = (std::log(total) - among * logs / total) / std::log(among),
            .dead = among * dead};
}

std::vector<LayerLoad> loadOf(const ExpertCounts& counts, std::span<const uint32_t> layers, uint64_t tokens) {
    CONCLAVE_CHECK(layers.size() == counts.layers());
    std::vector<LayerLoad> out;
    for (uint32_t i = 0; i < layers.size(); ++i) {
        const std::span<const uint32_t> layer = counts.layer(i);
        LayerLoad load;
        load.layer = layers[i];
        load.counts.assign(layer.begin(), layer.end());
        load.picks = sumOf(layer);
        load.load = loadOf(layer);
        if (load.load) {
            const bool asBefore = i > 0 && out.back().picks == load.picks;
            load.floor = asBefore ? out.back().floor : evenLoad(tokens, load.picks, counts.experts());
        }
        out.push_back(std::move(load));
    }
    return out;
}

const LayerLoad* worstLayer(std::span<const LayerLoad> layers) {
    const LayerLoad* worst = nullptr;
    for (const LayerLoad& layer : layers)
        if (layer.load && (worst == nullptr || layer.load->maxVio > worst->load->maxVio)) worst = &layer;
    return worst;
}

std::vector<uint32_t> expertsThatCarry(std::span<const uint32_t> counts, double share) {
    const double wanted = share * static_cast<double>(sumOf(counts));
    std::vector<uint32_t> out;
    uint64_t carried = 0;
    for (const uint32_t expert : byLoad(counts)) {
        if (static_cast<double>(carried) >= wanted) break;
        carried += counts[expert];
        out.push_back(expert);
    }
    return out;
}

std::vector<uint32_t> hardlyUsed(std::span<const uint32_t> counts) {
    const double most = kDeadShare * meanOf(counts);
    std::vector<uint32_t> out;
    for (uint32_t expert = 0; expert < counts.size(); ++expert)
        if (counts[expert] < most || most == 0) out.push_back(expert);
    return out;
}

double commonLoad(std::span<const uint32_t> a, std::span<const uint32_t> b) {
    CONCLAVE_CHECK(a.size() == b.size());
    const auto sumA = static_cast<double>(sumOf(a)), sumB = static_cast<double>(sumOf(b));
    if (sumA == 0 || sumB == 0) return 0;
    double common = 0;
    for (size_t i = 0; i < a.size(); ++i)
        common += std::min(a[i] / sumA, b[i] / sumB);
    return common;
}

double commonTop(std::span<const uint32_t> a, std::span<const uint32_t> b, uint32_t count) {
    CONCLAVE_CHECK(a.size() == b.size() && count > 0 && count <= a.size());
    const std::vector<uint32_t> orderA = byLoad(a), orderB = byLoad(b);
    std::vector<uint32_t> topA(orderA.begin(), orderA.begin() + count),
        topB(orderB.begin(), orderB.begin() + count), both;
    std::ranges::sort(topA);
    std::ranges::sort(topB);
    std::ranges::set_intersection(topA, topB, std::back_inserter(both));
    return static_cast<double>(both.size()) / static_cast<double>(2 * size_t{count} - both.size());
}

}  // namespace conclave::engine::model
