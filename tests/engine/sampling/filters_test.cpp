// The filters, and sample() around them, beside the plain form of both: everything sorted, one token after
// the other. Nothing but the same tokens in the same order with the same bits will do.
#include "engine/sampling/filters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "engine/sampling/random.h"
#include "engine/sampling/sampler.h"

namespace conclave::engine::sampling {
namespace {

using Random = std::mt19937;

double between(double low, double high, Random& random) {
    return low + (high - low) * (static_cast<double>(random()) * 0x1p-32);
}

using Logit = float (*)(size_t id, Random& random);

float normal(Random& random) {
    return std::normal_distribution<float>()(random);
}

float anyBits(size_t, Random& random) {
    const auto any = std::bit_cast<float>(static_cast<uint32_t>(random()));
    return std::isfinite(any) ? any : 0;
}

struct Kind {
    const char* name;
    Logit logit;
};

constexpr Kind kKinds[] = {
    {"flat", [](size_t, Random& random) { return normal(random) / 100; }},
    {"uniform", [](size_t, Random& random) { return static_cast<float>(between(-2, 2, random)); }},
    {"peaked",
     [](size_t id, Random& random) { return id % 1000 == 3 ? 14 + normal(random) : normal(random); }},
    {"shifted", [](size_t, Random& random) { return 30 + normal(random); }},
    {"equal", [](size_t, Random&) { return -1.25f; }},
    {"quarters", [](size_t, Random& random) { return std::round(4 * normal(random)) / 4; }},
    {"three values", [](size_t, Random& random) { return static_cast<float>(random() % 3); }},
    {"zeros",
     [](size_t id, Random& random) {
         return id % 3 == 0 ? -std::fabs(normal(random)) : id % 2 == 0 ? -0.0f : 0.0f;
     }},
    {"masked", [](size_t id, Random& random) { return id % 3 == 0 ? -1e9f : normal(random); }},
    {"octaves",
     [](size_t, Random& random) {
         return -std::ldexp(1.0f, static_cast<int>(random() % 250) - 125) * (1 + std::fabs(normal(random)));
     }},
    {"any bits", anyBits},
};

std::vector<float> logitsOf(const Kind& kind, size_t size, Random& random) {
    std::vector<float> logits;
    for (size_t id = 0; id < size; ++id)
        logits.push_back(kind.logit(id, random));
    return logits;
}

Candidates plainCandidates(const std::vector<float>& logits, double temperature) {
    const float best = *std::ranges::max_element(logits);
    Candidates out;
    for (size_t id = 0; id < logits.size(); ++id)
        out.push_back({logits[id], static_cast<int32_t>(id),
                       weightOf((double{logits[id]} - double{best}) * (1 / temperature))});
    return out;
}

bool lowerId(const Candidate& a, const Candidate& b) {
    return a.id < b.id;
}

double plainSum(const Candidates& candidates) {
    double sum = 0;
    for (const Candidate& c : candidates)
        sum += c.weight;
    return sum;
}

template <class Before> Candidates plainFirst(Candidates candidates, double wanted, const Before& before) {
    std::ranges::sort(candidates, before);
    double sum = 0;
    size_t kept = 0;
    while (kept < candidates.size() && (kept == 0 || sum < wanted))
        sum += candidates[kept++].weight;
    candidates.resize(kept);
    std::ranges::sort(candidates, lowerId);
    return candidates;
}

/// The order of keepTypical, by its own formula.
auto typicalOrder(const Candidates& candidates, float best, double temperature) {
    const double inverse = 1 / temperature;
    double total = 0, mean = 0;
    for (const Candidate& c : candidates) {
        total += c.weight;
        mean += c.weight * ((double{c.logit} - double{best}) * inverse);
    }
    mean /= total;
    return [=](const Candidate& a, const Candidate& b) {
        const double distanceA = std::fabs((double{a.logit} - double{best}) * inverse - mean);
        const double distanceB = std::fabs((double{b.logit} - double{best}) * inverse - mean);
        return distanceA != distanceB ? distanceA < distanceB : likelier(a, b);
    };
}

/// Halves as nth_element leaves them and sums them up as they stand: where the sum and what is wanted are
/// the same number but for rounding, this order has always decided.
template <class Before>
Candidates halvedFirst(const Candidates& candidates, double wanted, const Before& before) {
    Candidates ordered = candidates;
    auto begin = ordered.begin(), end = ordered.end();
    double sum = 0;
    while (end - begin > 64) {
        const auto middle = begin + (end - begin) / 2;
        std::nth_element(begin, middle, end, before);
        double half = 0;
        for (auto c = begin; c < middle; ++c)
            half += c->weight;
        if (sum + half >= wanted) {
            end = middle;
        } else {
            sum += half;
            begin = middle;
        }
    }
    std::sort(begin, end, before);
    for (sum += begin->weight; sum < wanted && begin + 1 < end; sum += begin->weight)
        ++begin;
    Candidates out;
    std::ranges::copy_if(candidates, std::back_inserter(out),
                         [&](const Candidate& c) { return !before(*begin, c); });
    return out;
}

void expectSame(const Candidates& got, const Candidates& wanted, const std::string& what) {
    ASSERT_EQ(got.size(), wanted.size()) << what;
    for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(got[i].id, wanted[i].id) << what;
        ASSERT_EQ(std::bit_cast<uint32_t>(got[i].logit), std::bit_cast<uint32_t>(wanted[i].logit)) << what;
        ASSERT_EQ(std::bit_cast<uint64_t>(got[i].weight), std::bit_cast<uint64_t>(wanted[i].weight)) << what;
    }
}

struct Round {
    std::string name;
    float best;
    double temperature;
    Candidates candidates;
};

/// Of each kind some with few candidates and some with many.
template <class Work> void forEachKind(int rounds, unsigned seed, const Work& work) {
    Random random(seed);
    for (int i = 0; i < rounds; ++i)
        for (const Kind& kind : kKinds) {
            const size_t size = 1 + random() % (i % 2 == 0 ? 12'000 : 3000);
            const std::vector<float> logits = logitsOf(kind, size, random);
            const double temperature = between(0.2, 3, random);
            work(Round{kind.name + (", round " + std::to_string(i)), *std::ranges::max_element(logits),
                       temperature, plainCandidates(logits, temperature)},
                 random);
        }
}

TEST(Filters, KeepUpToIsThePlainForm) {
    forEachKind(6, 1, [](const Round& round, Random& random) {
        const double total = plainSum(round.candidates);
        for (const double share : {0.95, 0.5, between(0, 1, random), 1 - between(0, 1e-4, random), 0.0}) {
            Candidates got = round.candidates;
            keepUpTo(got, share * total, round.best);
            expectSame(got, plainFirst(round.candidates, share * total, likelier), round.name);
        }
    });
}

TEST(Filters, KeepTypicalIsThePlainForm) {
    forEachKind(6, 2, [](const Round& round, Random& random) {
        const double total = plainSum(round.candidates);
        for (const double share : {0.9, between(0, 1, random)}) {
            Candidates got = round.candidates;
            keepTypical(got, share, round.best, round.temperature);
            const auto before = typicalOrder(round.candidates, round.best, round.temperature);
            expectSame(got, plainFirst(round.candidates, share * total, before), round.name);
        }
    });
}

// Weights whose sums are exact in any order, and what is wanted the sum itself or its neighbour.
TEST(Filters, KeepUpToStopsWhereTheSumIsExactlyEnough) {
    forEachKind(4, 3, [](Round round, Random& random) {
        for (Candidate& c : round.candidates)
            c.weight = static_cast<double>(1 + random() % 1000) / 1024;
        Candidates ordered = round.candidates;
        std::ranges::sort(ordered, likelier);
        ordered.resize(1 + random() % ordered.size());
        const double sum = plainSum(ordered);
        for (const double wanted : {sum, std::nextafter(sum, 0.0), std::nextafter(sum, 1e9)}) {
            Candidates got = round.candidates;
            keepUpTo(got, wanted, round.best);
            expectSame(got, plainFirst(round.candidates, wanted, likelier), round.name);
        }
    });
}

TEST(Filters, WhereRoundingDecidesTheOrderOfSumsStaysTheSame) {
    forEachKind(4, 4, [](const Round& round, Random& random) {
        const double total = plainSum(round.candidates);
        const auto shareOfSome = [&](const auto& before) {
            Candidates ordered = round.candidates;
            std::ranges::sort(ordered, before);
            ordered.resize(1 + random() % ordered.size());
            return plainSum(ordered) / total;
        };
        double share = shareOfSome(likelier);
        Candidates got = round.candidates;
        keepUpTo(got, share * total, round.best);
        expectSame(got, halvedFirst(round.candidates, share * total, likelier), round.name);

        const auto typical = typicalOrder(round.candidates, round.best, round.temperature);
        share = shareOfSome(typical);
        got = round.candidates;
        keepTypical(got, share, round.best, round.temperature);
        expectSame(got, halvedFirst(round.candidates, share * total, typical), round.name);
    });
}

int32_t plainDraw(const Candidates& candidates, double uniform) {
    const double target = uniform * plainSum(candidates);
    double sum = 0;
    int32_t chosen = candidates.front().id;
    for (auto c = candidates.begin(); c < candidates.end() && sum <= target; ++c) {
        if (c->weight <= 0) continue;
        sum += c->weight;
        chosen = c->id;
    }
    return chosen;
}

TEST(Filters, TopPOfALargeVocabularyIsThePlainForm) {
    Random random(5);
    for (const Kind& kind : kKinds) {
        const std::vector<float> logits = logitsOf(kind, 60'000, random);
        for (const float topP : {0.95f, static_cast<float>(between(0, 1, random))}) {
            const SamplerOptions options{.temperature = static_cast<float>(between(0.5, 5, random)),
                                         .topP = topP};
            const Candidates all = plainCandidates(logits, double{options.temperature});
            const Candidates kept = plainFirst(all, double{topP} * plainSum(all), likelier);
            for (uint64_t position = 0; position < 10; ++position)
                ASSERT_EQ(base::toInt(*sample(logits, options, 7, 0, position)),
                          plainDraw(kept, uniformAt(7, 0, position)))
                    << kind.name << ", top_p " << topP;
        }
    }
}

}  // namespace
}  // namespace conclave::engine::sampling
