#include "engine/sampling/filters.h"

#include <algorithm>
#include <cmath>

namespace conclave::engine::sampling {
namespace {

Candidates::iterator at(Candidates& candidates, size_t index) {
    return candidates.begin() + static_cast<std::ptrdiff_t>(index);
}

/// Leaves the first of the order `before` whose weights reach `wanted`, in that order.
template <class Before> void keepFirst(Candidates& candidates, double wanted, const Before& before) {
    double sum = 0;
    size_t kept = 0;
    for (size_t sorted = 0; sorted < candidates.size();) {
        const size_t upTo = std::min(candidates.size(), std::max<size_t>(64, sorted * 4));
        if (upTo < candidates.size())
            std::nth_element(at(candidates, sorted), at(candidates, upTo), candidates.end(), before);
        std::sort(at(candidates, sorted), at(candidates, upTo), before);
        for (sorted = upTo; kept < sorted;) {
            sum += candidates[kept++].weight;
            if (sum >= wanted) {
                candidates.resize(kept);
                return;
            }
        }
    }
}

}  // namespace

double sumOf(const Candidates& candidates) {
    double total = 0;
    for (const Candidate& c : candidates)
        total += c.weight;
    return total;
}

void keepTypical(Candidates& candidates, double share, float best, double temperature) {
    // With x = log weight and Z the sum of weights: -log p = log Z - x and the entropy is log Z - mean(x), so
    // the distance of the two is |mean(x) - x| and no logarithm is needed.
    const double inverse = 1 / temperature;
    const auto x = [&](const Candidate& c) { return (double{c.logit} - double{best}) * inverse; };
    double total = 0, mean = 0;
    for (const Candidate& c : candidates) {
        total += c.weight;
        mean += c.weight * x(c);
    }
    mean /= total;
    keepFirst(candidates, share * total, [&](const Candidate& a, const Candidate& b) {
        const double distanceA = std::fabs(x(a) - mean), distanceB = std::fabs(x(b) - mean);
        return distanceA != distanceB ? distanceA < distanceB : likelier(a, b);
    });
}

void keepUpTo(Candidates& candidates, double wanted) {
    keepFirst(candidates, wanted, likelier);
}

void keepAbove(Candidates& candidates, double share) {
    double largest = 0;
    for (const Candidate& c : candidates)
        largest = std::max(largest, c.weight);
    std::erase_if(candidates, [&](const Candidate& c) { return c.weight < share * largest; });
}

}  // namespace conclave::engine::sampling
