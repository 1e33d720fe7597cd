#include "engine/sampling/filters.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>

namespace conclave::engine::sampling {
namespace {

constexpr size_t kFew = 64;     // are sorted at once
constexpr size_t kMany = 2048;  // from here on ranges find the last sooner than halving

Candidates::iterator at(Candidates& candidates, size_t index) {
    return candidates.begin() + static_cast<std::ptrdiff_t>(index);
}

/// std::erase_if without a jump that depends on the candidate: what goes and what stays is mixed at random.
template <class Goes> void eraseIf(Candidates& candidates, const Goes& goes) {
    Candidate* end = candidates.data();
    for (const Candidate& c : candidates) {
        *end = c;
        end += goes(c) ? 0 : 1;
    }
    candidates.erase(at(candidates, static_cast<size_t>(end - candidates.data())), candidates.end());
}

/// The order in which a filter keeps: a lower key goes first, of equals the likelier.
template <class Key> auto byKey(const Key& key) {
    return [&key](const Candidate& a, const Candidate& b) {
        const uint64_t keyA = key(a), keyB = key(b);
        return keyA != keyB ? keyA < keyB : likelier(a, b);
    };
}

/// The first of an order at which the sum of weights reaches `wanted`. Halves what is left until it is found,
/// so that the time is linear; each half is summed up as it then stands, which belongs to what a seed means.
template <class Before> Candidate lastByHalving(Candidates ordered, double wanted, const Before& before) {
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
    return ordered[last];
}

/// The same from the sums of ranges of keys: the range with the last in it is divided again until few are
/// left or all keys are equal. None where the last of sums in another order may be another: n additions of
/// numbers that are not negative err by less than n * 2^-53 of the sum, here and in lastByHalving.
template <class Key>
std::optional<Candidate> lastByRanges(std::span<const Candidate> among, double wanted, const Key& key) {
    constexpr int kBits = 13;
    const double slack = static_cast<double>(among.size()) * 0x1p-51;
    double sum = 0;  // of those that go before all of `among`
    Candidates inside;
    while (among.size() > kFew) {
        uint64_t least = key(among.front()), most = least;
        for (const Candidate& c : among) {
            least = std::min(least, key(c));
            most = std::max(most, key(c));
        }
        if (least == most) break;
        const int shift = std::max(static_cast<int>(std::bit_width(most - least)) - kBits, 0);
        const auto rangeOf = [&](const Candidate& c) { return (key(c) - least) >> shift; };
        std::array<double, size_t{1} << kBits> sums{};
        for (const Candidate& c : among)
            sums[rangeOf(c)] += c.weight;
        size_t range = 0;
        for (; range < (most - least) >> shift && sum + sums[range] < wanted; ++range)
            sum += sums[range];
        Candidates found;
        std::ranges::copy_if(among, std::back_inserter(found),
                             [&](const Candidate& c) { return rangeOf(c) == range; });
        inside = std::move(found);
        among = inside;
    }
    Candidates ordered;
    if (!std::is_sorted(among.begin(), among.end(), byKey(key))) {  // equal keys come by id, however many
        ordered.assign(among.begin(), among.end());
        std::sort(ordered.begin(), ordered.end(), byKey(key));
        among = ordered;
    }
    for (const Candidate& c : among) {
        const double without = sum;
        sum += c.weight;
        if (sum < wanted) continue;
        if (without * (1 + slack) < wanted && sum * (1 - slack) >= wanted) return c;
        break;
    }
    return std::nullopt;
}

/// Leaves the first of the order of keys whose weights reach `wanted`.
template <class Key> void keepFirst(Candidates& candidates, double wanted, const Key& key) {
    std::optional<Candidate> last;
    if (candidates.size() > kMany) last = lastByRanges(candidates, wanted, key);
    if (!last) last = lastByHalving(candidates, wanted, byKey(key));
    const uint64_t lastKey = key(*last);
    eraseIf(candidates, [&](const Candidate& c) {
        const uint64_t mine = key(c);
        return mine == lastKey ? likelier(*last, c) : mine > lastKey;
    });
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
    // Of numbers that are not negative the bits have the order of the numbers.
    keepFirst(candidates, share * total,
              [&](const Candidate& c) { return std::bit_cast<uint64_t>(std::fabs(x(c) - mean)); });
}

void keepUpTo(Candidates& candidates, double wanted, float best) {
    // Where rounding makes the distances from the best equal, the logits themselves decide. -0 - 0 is -0.
    keepFirst(candidates, wanted, [best](const Candidate& c) {
        return uint64_t{std::bit_cast<uint32_t>(std::fabs(best - c.logit))};
    });
}

void keepAbove(Candidates& candidates, double share) {
    double largest = 0;
    for (const Candidate& c : candidates)
        largest = std::max(largest, c.weight);
    eraseIf(candidates, [&](const Candidate& c) { return c.weight < share * largest; });
}

}  // namespace conclave::engine::sampling
