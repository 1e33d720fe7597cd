#include "engine/offline/divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace conclave::engine::offline {
namespace {

/// log of the softmax of a row.
void logSoftmax(const float* logits, size_t count, std::vector<double>& out) {
    const double most = *std::max_element(logits, logits + count);
    double sum = 0;
    for (size_t i = 0; i < count; ++i)
        sum += std::exp(logits[i] - most);
    out.resize(count);
    for (size_t i = 0; i < count; ++i)
        out[i] = logits[i] - most - std::log(sum);
}

}  // namespace

void addDivergence(const std::vector<float>& want, const std::vector<float>& got, size_t vocabulary,
                   Divergence& out) {
    std::vector<double> wanted, other;
    for (size_t at = 0; at < want.size(); at += vocabulary) {
        logSoftmax(want.data() + at, vocabulary, wanted);
        logSoftmax(got.data() + at, vocabulary, other);
        double kl = 0;
        for (size_t i = 0; i < vocabulary; ++i)
            kl += std::exp(wanted[i]) * (wanted[i] - other[i]);
        out.meanKl += std::isnan(kl) ? std::numeric_limits<double>::infinity() : kl;
        const auto best = [&](const std::vector<float>& logits) {
            const float* row = logits.data() + at;
            return std::max_element(row, row + vocabulary) - row;
        };
        out.sameBest += best(want) == best(got);
    }
}

}  // namespace conclave::engine::offline
