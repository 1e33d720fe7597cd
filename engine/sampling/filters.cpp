#include "engine/sampling/filters.h"

#include <algorithm>
#include <cmath>

namespace conclave::engine::sampling {
namespace {

Candidates::iterator at(Candidates& candidates, size_t index) {
    return candidates.begin() + static_cast<std::ptrdiff_t>(index);
}

/// Leaves the first of the order `before` whose weights reach `wanted`. Halves what is left until the last of
/// them is found, so that the time is linear.
template <class Before> void keepFirst(Candidates& candidates, double wanted, const Before& before) {
    constexpr size_t kFew = 64;
    Candidates ordered = candidates;
    double sum = 0;
    size_t begin = 0, end = ordered.size();  // those before `begin` are kept and do not reach `wanted`
    while (end - begin > kFew) {
        const size_t middle = begin + (end - begin) / 2;
        std::nth_element(at(ordered, begin), at(ordered, middle), at(ordered, end), before);
        double half = 0;
        for (size_t i = begin; i < middle; ++i)
            half += ordered[i].weight;
        if (sum + half >= wanted) {
            end = middle;
        } else {
            sum += half;
            begin = middle;
        }
    }
    std::sort(at(ordered, begin), at(ordered, end), before);
    size_t last = begin;
    for (sum += ordered[last].weight; sum < wanted && last + 1 < end;)
        sum += ordered[++last].weight;
    std::erase_if(candidates, [&](const Candidate& c) { return before(ordered[last], c); });
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
