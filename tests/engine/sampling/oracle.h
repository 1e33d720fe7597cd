#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "engine/sampling/choose.h"

/// What the headers of the room promise, written the plain way: float64, std::exp, full sorts, one step after
/// the other.
namespace conclave::engine::sampling::testing {

inline std::vector<base::TokenId> ids(const std::vector<int32_t>& numbers) {
    std::vector<base::TokenId> out;
    for (const int32_t number : numbers)
        out.push_back(base::TokenId{number});
    return out;
}

struct OracleCase {
    SamplerOptions options{};
    std::vector<int32_t> prompt{}, generated{}, masked{};
};

inline std::vector<double> oracleAdjusted(const std::vector<float>& logits, const OracleCase& row) {
    std::vector<double> x(logits.begin(), logits.end());
    for (const LogitBias& bias : row.options.bias)
        x[static_cast<size_t>(base::toInt(bias.token))] += double{bias.bias};
    for (const int32_t id : row.masked)
        x[static_cast<size_t>(id)] = -std::numeric_limits<double>::infinity();
    std::vector<int32_t> all = row.prompt;
    all.insert(all.end(), row.generated.begin(), row.generated.end());
    const Penalties& penalties = row.options.penalties;
    const size_t window = std::min<size_t>(all.size(), penalties.lastTokens.value_or(UINT32_MAX));
    std::map<int32_t, int> seen, said;
    for (size_t i = all.size() - window; i < all.size(); ++i) {
        ++seen[all[i]];
        if (i >= row.prompt.size()) ++said[all[i]];
    }
    for (const auto& [id, count] : seen) {
        double& logit = x[static_cast<size_t>(id)];
        logit = logit > 0 ? logit / double{penalties.repetition} : logit * double{penalties.repetition};
    }
    for (const auto& [id, count] : said)
        x[static_cast<size_t>(id)] -= double{penalties.frequency} * count + double{penalties.presence};
    return x;
}

inline std::vector<double> oracleProbabilities(const std::vector<float>& logits, const OracleCase& row) {
    const SamplerOptions& options = row.options;
    const std::vector<double> x = oracleAdjusted(logits, row);
    std::vector<size_t> order(x.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto byLogit = [&](size_t a, size_t b) { return x[a] > x[b] || (x[a] == x[b] && a < b); };
    std::sort(order.begin(), order.end(), byLogit);
    if (options.topK > 0 && options.topK < order.size()) order.resize(options.topK);
    if (options.temperature == 0) order.resize(1);
    const double temperature = options.temperature == 0 ? 1 : double{options.temperature};
    const auto softmax = [&] {
        const double best = x[*std::min_element(order.begin(), order.end(), byLogit)];
        std::vector<double> p(x.size(), 0);
        double total = 0;
        for (const size_t i : order)
            total += p[i] = std::exp((x[i] - best) / temperature);
        for (double& value : p)
            value /= total;
        return p;
    };
    const auto keepShare = [&](const std::vector<double>& p, double share) {
        double sum = 0;
        for (size_t n = 0; n < order.size(); ++n) {
            sum += p[order[n]];
            if (sum >= share - 1e-12) return order.resize(n + 1);
        }
    };
    if (options.typicalP < 1) {
        const std::vector<double> p = softmax();
        double entropy = 0;
        for (const double value : p)
            entropy -= value > 0 ? value * std::log(value) : 0;
        const auto distance = [&](size_t i) { return std::fabs(-std::log(p[i]) - entropy); };
        std::erase_if(order, [&](size_t i) { return p[i] == 0; });
        std::stable_sort(order.begin(), order.end(),
                         [&](size_t a, size_t b) { return distance(a) < distance(b) - 1e-12; });
        keepShare(p, double{options.typicalP});
        std::sort(order.begin(), order.end(), byLogit);
    }
    if (options.topP < 1) keepShare(softmax(), double{options.topP});
    const std::vector<double> p = softmax();
    std::erase_if(order, [&](size_t i) { return p[i] < double{options.minP} * p[order[0]]; });
    return softmax();
}

inline std::vector<float> randomLogits(size_t size, unsigned seed, float spread) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> logits(size);
    for (float& x : logits)
        x = normal(random);
    return logits;
}

inline base::Result<Choice> chooseFor(const std::vector<float>& logits, const OracleCase& row,
                                      uint64_t seed = 1, uint32_t choice = 0) {
    std::vector<base::TokenId> tokens = ids(row.prompt);
    const std::vector<base::TokenId> generated = ids(row.generated), masked = ids(row.masked);
    tokens.insert(tokens.end(), generated.begin(), generated.end());
    return choose(logits, row.options,
                  {.past = {tokens, row.prompt.size()}, .seed = seed, .choice = choice, .masked = masked});
}

/// chi² of many draws, one for each seed, against the oracle's probabilities, and no draw outside of them.
inline void expectDistribution(const std::vector<float>& logits, const OracleCase& row, int draws = 20'000) {
    const std::vector<double> p = oracleProbabilities(logits, row);
    std::vector<int> counts(logits.size(), 0);
    for (int seed = 0; seed < draws; ++seed) {
        const auto chosen = chooseFor(logits, row, static_cast<uint64_t>(seed));
        ASSERT_TRUE(chosen.ok()) << base::render(chosen.error());
        ++counts[static_cast<size_t>(base::toInt(chosen->token))];
    }
    double chi2 = 0, rareExpected = 0;
    int rareCount = 0, freedom = -1;
    const auto add = [&](double expected, int count) {
        chi2 += (count - expected) * (count - expected) / expected;
        ++freedom;
    };
    for (size_t i = 0; i < p.size(); ++i) {
        const double expected = p[i] * draws;
        if (p[i] == 0)
            EXPECT_EQ(counts[i], 0) << "token " << i << " was filtered out";
        else if (expected >= 8)
            add(expected, counts[i]);
        else
            rareExpected += expected, rareCount += counts[i];
    }
    if (rareExpected >= 8) add(rareExpected, rareCount);
    // The Wilson-Hilferty approximation of the 99.99 % quantile of chi².
    const double f = std::max(freedom, 1);
    EXPECT_LT(chi2, f * std::pow(1 - 2 / (9 * f) + 3.72 * std::sqrt(2 / (9 * f)), 3))
        << freedom << " degrees";
}

}  // namespace conclave::engine::sampling::testing
