#include <cmath>
#include <cstring>

#include "engine/kernels/exponential.h"
#include "tests/engine/kernels/cases.h"

namespace conclave::engine::kernels {
namespace {

/// A sequence's pages, in memory that nobody has written but the kernels.
struct Pages {
    std::vector<std::vector<std::byte>> memory;
    std::vector<std::byte*> pages;

    Pages(size_t positions, size_t pageBytes, bool backwards = false) {
        const size_t count = (positions + kPagePositions - 1) / kPagePositions;
        for (size_t i = 0; i < count; ++i)
            memory.emplace_back(pageBytes + 64, std::byte{0xff});  // NaN, if anybody reads it
        for (size_t i = 0; i < count; ++i) {
            auto& page = memory[backwards ? count - 1 - i : i];
            pages.push_back(page.data() + (64 - reinterpret_cast<uintptr_t>(page.data()) % 64) % 64);
        }
    }
};

struct Gqa {
    uint32_t heads, kvHeads, keyDim, valueDim, window;
    KvType type;
    size_t layerOffset = 128;

    size_t pageBytes() const {
        return layerOffset + size_t{kvHeads} * kPagePositions * (keyDim + valueDim) * 4;
    }
};

struct Mla {
    uint32_t heads, rank, rope;
    KvType type;
    size_t layerOffset = 64;

    size_t pageBytes() const { return layerOffset + size_t{kPagePositions} * (rank + rope) * 4; }
};

float stored(KvType type, float x) {
    return type == KvType::F32 ? x : quant::halfToFloat(quant::floatToHalf(x));
}

std::vector<RowPlace> placesOf(const Pages& pages, uint32_t start, uint32_t count) {
    std::vector<RowPlace> places;
    for (uint32_t i = 0; i < count; ++i)
        places.push_back({start + i, pages.pages.data()});
    return places;
}

/// Attention of one query by the rules of numerics.md, written a second time. key(p) and value(p) are rows.
template <class Key, class Value>
std::vector<float> ruled(const float* q, size_t keyDim, size_t valueDim, float scale, size_t first,
                         size_t last, Key key, Value value) {
    float totalMost = 0, totalWeight = 0;
    std::vector<float> total;
    for (size_t at = first; at <= last;) {
        float most = -INFINITY, lanes[16] = {};
        std::vector<float> span(valueDim, 0.0f);
        const size_t spanEnd = std::min(last + 1, (at / 512 + 1) * 512);
        while (at < spanEnd) {
            const size_t pageEnd = std::min(spanEnd, (at / 64 + 1) * 64);
            std::vector<float> scores;
            float now = most;
            for (size_t p = at; p < pageEnd; ++p) {
                scores.push_back(laneProduct(q, key(p), keyDim) * scale);
                now = std::max(now, scores.back());
            }
            if (most != -INFINITY) {
                const float factor = exponential(most - now);
                for (float& lane : lanes)
                    lane *= factor;
                for (float& v : span)
                    v *= factor;
            }
            most = now;
            for (size_t p = at; p < pageEnd; ++p) {
                const float weight = exponential(scores[p - at] - most);
                lanes[p % 16] += weight;
                for (size_t d = 0; d < valueDim; ++d)
                    span[d] = std::fma(weight, value(p)[d], span[d]);
            }
            at = pageEnd;
        }
        const float weight = laneTree(lanes);
        if (total.empty()) {
            total = span;
            totalMost = most;
            totalWeight = weight;
            continue;
        }
        const float now = std::max(totalMost, most), before = exponential(totalMost - now),
                    here = exponential(most - now);
        for (size_t d = 0; d < valueDim; ++d)
            total[d] = std::fma(span[d], here, total[d] * before);
        totalWeight = std::fma(weight, here, totalWeight * before);
        totalMost = now;
    }
    const float inverse = 1.0f / totalWeight;
    for (float& v : total)
        v *= inverse;
    return total;
}

template <class Key, class Value>
std::vector<double> exact(const float* q, size_t keyDim, size_t valueDim, double scale, size_t first,
                          size_t last, Key key, Value value) {
    std::vector<double> scores, out(valueDim, 0.0);
    double most = -INFINITY, sum = 0;
    for (size_t p = first; p <= last; ++p) {
        double score = 0;
        for (size_t d = 0; d < keyDim; ++d)
            score += double{q[d]} * key(p)[d];
        scores.push_back(score * scale);
        most = std::max(most, scores.back());
    }
    for (size_t p = first; p <= last; ++p) {
        const double weight = std::exp(scores[p - first] - most);
        sum += weight;
        for (size_t d = 0; d < valueDim; ++d)
            out[d] += weight * value(p)[d];
    }
    for (double& v : out)
        v /= sum;
    return out;
}

class Attention : public testing::TestWithParam<const Kernels*> {
  protected:
    const Kernels& row = *GetParam();

    /// Positions start … start + count - 1 in one step, `threads` workers.
    void step(const Gqa& shape, const Pages& pages, const Floats& q, const Floats& k, const Floats& v,
              Floats& out, uint32_t start, uint32_t count, size_t threads) {
        Workplace place(row, threads, count, std::max(q.cols, out.cols));
        const auto places = placesOf(pages, start, count);
        const KvPlace kv{shape.type, shape.layerOffset};
        const auto part = [&](const Floats& all) {
            return ConstRows(all.row(start), count, all.cols, all.stride);
        };
        row.storeKv(place.launch(),
                    {part(k), part(v), places, kv, shape.kvHeads, shape.keyDim, shape.valueDim});
        row.attend(place.launch(),
                   {part(q), places, kv, shape.heads, shape.kvHeads, shape.keyDim, shape.valueDim, 0.17f,
                    shape.window, Rows{out.row(start), count, out.cols, out.stride}});
    }

    void step(const Mla& shape, const Pages& pages, const Floats& q, const Floats& latent, Floats& out,
              uint32_t start, uint32_t count, size_t threads) {
        Workplace place(row, threads, count, std::max(q.cols, out.cols));
        const auto places = placesOf(pages, start, count);
        const KvPlace kv{shape.type, shape.layerOffset};
        const auto part = [&](const Floats& all) {
            return ConstRows(all.row(start), count, all.cols, all.stride);
        };
        row.storeLatent(place.launch(), {part(latent), places, kv});
        row.attendLatent(place.launch(), {part(q), places, kv, shape.heads, shape.rank, shape.rope, 0.1f,
                                          Rows{out.row(start), count, out.cols, out.stride}});
    }
};

constexpr uint32_t kPositions = 1100;  // three spans, eighteen pages

const Gqa kGqa[] = {{6, 2, 24, 24, 0, KvType::F32},  {4, 4, 33, 17, 0, KvType::F32},
                    {8, 1, 32, 40, 0, KvType::F16},  {6, 2, 16, 16, 100, KvType::F32},
                    {40, 2, 8, 8, 513, KvType::F16}, {3, 3, 64, 64, 1, KvType::F32}};
const Mla kMla[] = {{5, 32, 8, KvType::F32}, {20, 48, 16, KvType::F16}, {1, 17, 6, KvType::F32}};

TEST_P(Attention, GroupedHeadsFollowTheRule) {
    Random random(30);
    for (const Gqa& shape : kGqa) {
        const Floats q = Floats::random(random, kPositions, shape.heads * shape.keyDim, 2, 5);
        Floats k = Floats::random(random, kPositions, shape.kvHeads * shape.keyDim, 2);
        Floats v = Floats::random(random, kPositions, shape.kvHeads * shape.valueDim, 1);
        Floats out(kPositions, shape.heads * shape.valueDim, 2);
        Pages pages(kPositions, shape.pageBytes());
        step(shape, pages, q, k, v, out, 0, kPositions, 2);
        for (float& value : k.values)
            value = stored(shape.type, value);
        for (float& value : v.values)
            value = stored(shape.type, value);
        for (const uint32_t r : {0u, 1u, 15u, 63u, 64u, 511u, 512u, 700u, 1099u})
            for (uint32_t head = 0; head < shape.heads; ++head) {
                const uint32_t kvHead = head / (shape.heads / shape.kvHeads);
                const auto key = [&](size_t p) { return k.row(p) + kvHead * shape.keyDim; };
                const auto value = [&](size_t p) { return v.row(p) + kvHead * shape.valueDim; };
                const float* query = q.row(r) + head * shape.keyDim;
                const size_t first = shape.window > 0 && r >= shape.window ? r + 1 - shape.window : 0;
                const float* got = out.row(r) + head * shape.valueDim;
                const auto want = ruled(query, shape.keyDim, shape.valueDim, 0.17f, first, r, key, value);
                ASSERT_EQ(0u, differentBits(want.data(), got, shape.valueDim))
                    << "position " << r << " head " << head;
                const auto real = exact(query, shape.keyDim, shape.valueDim, 0.17f, first, r, key, value);
                for (size_t d = 0; d < shape.valueDim; ++d)
                    ASSERT_NEAR(real[d], got[d], 2e-6);
            }
    }
}

TEST_P(Attention, LatentsFollowTheRule) {
    Random random(31);
    for (const Mla& shape : kMla) {
        const uint32_t dim = shape.rank + shape.rope;
        const Floats q = Floats::random(random, kPositions, shape.heads * dim, 2, 3);
        Floats latent = Floats::random(random, kPositions, dim, 2);
        Floats out(kPositions, shape.heads * shape.rank);
        Pages pages(kPositions, shape.pageBytes());
        step(shape, pages, q, latent, out, 0, kPositions, 2);
        for (float& value : latent.values)
            value = stored(shape.type, value);
        const auto key = [&](size_t p) { return latent.row(p); };
        for (const uint32_t r : {0u, 63u, 64u, 512u, 1099u})
            for (uint32_t head = 0; head < shape.heads; ++head) {
                const float* query = q.row(r) + head * dim;
                const float* got = out.row(r) + head * shape.rank;
                const auto want = ruled(query, dim, shape.rank, 0.1f, 0, r, key, key);
                ASSERT_EQ(0u, differentBits(want.data(), got, shape.rank))
                    << "position " << r << " head " << head;
                const auto real = exact(query, dim, shape.rank, 0.1f, 0, r, key, key);
                for (size_t d = 0; d < shape.rank; ++d)
                    ASSERT_NEAR(real[d], got[d], 4e-6);
            }
    }
}

TEST_P(Attention, NoCutOfThePromptNoThreadAndNoPlaceOfAPageChangesABit) {
    Random random(32);
    for (const Gqa& shape : kGqa) {
        const Floats q = Floats::random(random, kPositions, shape.heads * shape.keyDim, 2);
        const Floats k = Floats::random(random, kPositions, shape.kvHeads * shape.keyDim, 2);
        const Floats v = Floats::random(random, kPositions, shape.kvHeads * shape.valueDim, 1);
        Floats whole(kPositions, shape.heads * shape.valueDim), cut = whole;
        Pages pages(kPositions, shape.pageBytes()), others(kPositions, shape.pageBytes(), true);
        step(shape, pages, q, k, v, whole, 0, kPositions, 1);
        for (uint32_t at = 0; at < kPositions;) {
            const uint32_t most = at < 300   ? 1 + below(random, 97)
                                  : at < 900 ? 400
                                             : 1;  // chunks, then decode
            const uint32_t count = std::min(most, kPositions - at);
            step(shape, others, q, k, v, cut, at, count, 1 + below(random, 3));
            at += count;
        }
        EXPECT_EQ(0u, differentBits(whole, cut));
    }
}

TEST_P(Attention, NoCutOfThePromptChangesABitOfLatents) {
    Random random(33);
    for (const Mla& shape : kMla) {
        const Floats q = Floats::random(random, kPositions, shape.heads * (shape.rank + shape.rope), 2);
        const Floats latent = Floats::random(random, kPositions, shape.rank + shape.rope, 2);
        Floats whole(kPositions, shape.heads * shape.rank), cut = whole;
        Pages pages(kPositions, shape.pageBytes()), others(kPositions, shape.pageBytes(), true);
        step(shape, pages, q, latent, whole, 0, kPositions, 3);
        for (uint32_t at = 0; at < kPositions;) {
            const uint32_t count =
                std::min(at < 600 ? 1 + below(random, 200) : 1 + below(random, 3), kPositions - at);
            step(shape, others, q, latent, cut, at, count, 1 + below(random, 2));
            at += count;
        }
        EXPECT_EQ(0u, differentBits(whole, cut));
    }
}

TEST_P(Attention, ARowFarBehindHasTheBitsItHasInAPrompt) {
    Random random(35);
    const uint32_t positions = 9 * 512 + 100;  // spans of more than one round
    for (const Gqa& shape : {Gqa{6, 2, 16, 16, 0, KvType::F16}, Gqa{3, 1, 16, 24, 4200, KvType::F32}}) {
        const Floats q = Floats::random(random, positions, shape.heads * shape.keyDim, 2);
        const Floats k = Floats::random(random, positions, shape.kvHeads * shape.keyDim, 2);
        const Floats v = Floats::random(random, positions, shape.kvHeads * shape.valueDim, 1);
        Floats whole(positions, shape.heads * shape.valueDim), alone = whole;
        Pages pages(positions, shape.pageBytes());
        step(shape, pages, q, k, v, whole, 0, positions, 2);
        for (const uint32_t count : {1u, 3u})
            for (const size_t threads : {1u, 2u, 3u}) {
                const uint32_t start = positions - count;
                step(shape, pages, q, k, v, alone, start, count, threads);
                for (uint32_t r = start; r < positions; ++r)
                    EXPECT_EQ(0u, differentBits(whole.row(r), alone.row(r), whole.cols))
                        << count << " rows, " << threads << " threads";
            }
    }
}

TEST_P(Attention, RowsOfOtherSequencesChangeNothing) {
    Random random(34);
    const Gqa shape{4, 2, 32, 32, 0, KvType::F32};
    const uint32_t lengths[] = {70, 3, 130};
    std::vector<Pages> pages;
    std::vector<Floats> qs, outs;
    Floats q(3, 128), out(3, 128);
    std::vector<RowPlace> places;
    for (const uint32_t length : lengths) {
        const Floats keys = Floats::random(random, length, 64), values = Floats::random(random, length, 64);
        qs.push_back(Floats::random(random, length, 128));
        outs.emplace_back(length, 128);
        pages.emplace_back(length, shape.pageBytes());
        step(shape, pages.back(), qs.back(), keys, values, outs.back(), 0, length, 1);
    }
    for (size_t i = 0; i < 3; ++i) {
        places.push_back({lengths[i] - 1, pages[i].pages.data()});
        std::copy_n(qs[i].row(lengths[i] - 1), 128, q.row(i));
    }
    Workplace place(row, 2, 3, 128);
    row.attend(place.launch(),
               {q.view(), places, {shape.type, shape.layerOffset}, 4, 2, 32, 32, 0.17f, 0, out.view()});
    for (size_t i = 0; i < 3; ++i)
        EXPECT_EQ(0u, differentBits(out.row(i), outs[i].row(lengths[i] - 1), 128));
}

INSTANTIATE_TEST_SUITE_P(Rows, Attention, testing::ValuesIn(runnableKernels()), nameOf);

}  // namespace
}  // namespace conclave::engine::kernels
