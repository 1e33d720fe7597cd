// kernels_bench [--kernels NAME] [--threads N] [--only attention|products]: GB/s of weights at one row and
// multiplications per second at many, for each format, beside a plain read of the same memory, and attention
// of one row and of many. The best of short runs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>

#include "tests/engine/kernels/cases.h"

namespace conclave::engine::kernels {
namespace {

double seconds(const std::function<void()>& work) {
    double best = 1e9, all = 0;
    for (int runs = 0; runs < 5 || (all < 0.3 && runs < 200); ++runs) {
        const auto start = std::chrono::steady_clock::now();
        work();
        const double time = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        best = std::min(best, time);
        all += time;
    }
    return best;
}

/// Reads everything once, as fast as plain loads go.
double readSeconds(platform::Team& team, const std::vector<std::byte>& bytes) {
    std::vector<uint64_t> sums(team.size() * 8);
    return seconds([&] {
        team.run([&](size_t worker, size_t workers) {
            const platform::Range range = platform::share(bytes.size() / 8, worker, workers);
            uint64_t sum = 0;
            for (size_t i = range.begin; i < range.end; ++i) {
                uint64_t word;
                std::memcpy(&word, bytes.data() + 8 * i, 8);
                sum += word;
            }
            sums[worker * 8] = sum;
        });
        static volatile uint64_t sink = 0;
        sink = std::accumulate(sums.begin(), sums.end(), sink);
    });
}

void benchProducts(const Kernels& row, size_t threads) {
    platform::Team team(threads);
    std::printf("%-8s %-5s %9s %9s | GMAC/s at rows %6s %6s %6s\n", "format", "act", "1 row", "read", "4",
                "64", "512");
    Random random(1);
    for (const Format format : allFormats()) {
        const uint32_t cols = 2048, few = 1408;
        const auto many = static_cast<uint32_t>((size_t{96} << 20) / quant::rowBytes(format, cols));
        const Weights large(random, format, many, cols), small(random, format, few, cols);
        for (const Activation activation : {Activation::F32, Activation::BF16, Activation::Int8}) {
            if (appliedActivation(format, activation) != activation) continue;
            Workplace place(row, threads, 512, many);
            const auto run = [&](const Weights& w, uint32_t rows) {
                const Floats x = Floats::random(random, rows, cols);
                Floats y(rows, w.view.rows);
                const MatmulGroup group{.w = w.in(row, activation), .rows = rows, .y = y.view()};
                return seconds([&] { row.matmul(place.launch(), {&group, 1}, x.view(), activation); });
            };
            const double bytes = static_cast<double>(large.bytes.size()) * 1e-9;
            const double macs = double{few} * cols * 1e-9;
            const char* names[] = {"f32", "bf16", "int8"};
            std::printf("%-8s %-5s %9.2f %9.2f | %21.1f %6.1f %6.1f\n",
                        std::string(quant::info(format).name).c_str(), names[static_cast<int>(activation)],
                        bytes / run(large, 1), bytes / readSeconds(team, large.bytes),
                        4 * macs / run(small, 4), 64 * macs / run(small, 64), 512 * macs / run(small, 512));
            std::fflush(stdout);
        }
    }
}

/// Heads of one attention; kvHeads 0: MLA with that many values of a latent and of its rotated key.
struct Heads {
    const char* name;
    uint32_t heads, kvHeads, dim, rope;
    uint32_t keyDim() const { return dim + rope; }
    size_t valuesPerPosition() const { return kvHeads > 0 ? size_t{2} * kvHeads * dim : keyDim(); }
};
constexpr Heads kHeads[] = {{"12/2 x 128", 12, 2, 128, 0},
                            {"32/8 x 128", 32, 8, 128, 0},
                            {"16/16 x 128", 16, 16, 128, 0},
                            {"9/3 x 64", 9, 3, 64, 0},
                            {"MLA 16 x (512+64)", 16, 0, 512, 64}};

/// Seconds of one layer's attention of the last `rows` of `positions`, layers one after another so that the
/// keys of few rows come from memory.
double attentionSeconds(const Kernels& row, size_t threads, const Heads& shape, KvType type, uint32_t rows,
                        uint32_t positions) {
    Random random(2);
    const size_t layerBytes =
        kPagePositions * shape.valuesPerPosition() * (type == KvType::F16 ? 2 : sizeof(float));
    const size_t layers =
        rows > 1 ? 1 : std::max<size_t>(1, (size_t{96} << 20) / (positions / kPagePositions * layerBytes));
    std::vector<std::byte> memory(positions / kPagePositions * layers * layerBytes);
    std::vector<std::byte*> pages;
    for (size_t at = 0; at < memory.size(); at += layers * layerBytes)
        pages.push_back(memory.data() + at);
    std::vector<RowPlace> places;
    for (uint32_t i = 0; i < rows; ++i)
        places.push_back({positions - rows + i, pages.data()});
    const Floats q = Floats::random(random, rows, shape.heads * shape.keyDim());
    Floats out(rows, shape.heads * shape.dim);
    Workplace place(row, threads, rows, shape.heads * shape.keyDim());
    return seconds([&] {
               for (size_t layer = 0; layer < layers; ++layer) {
                   const KvPlace kv{type, layer * layerBytes};
                   if (shape.kvHeads > 0)
                       row.attend(place.launch(), {q.view(), places, kv, shape.heads, shape.kvHeads,
                                                   shape.dim, shape.dim, 0.1f, 0, out.view()});
                   else
                       row.attendLatent(place.launch(), {q.view(), places, kv, shape.heads, shape.dim,
                                                         shape.rope, 0.1f, out.view()});
               }
           }) /
           static_cast<double>(layers);
}

/// What bounds attention: multiplications, and the bytes of the keys and values of one row.
void benchAttention(const Kernels& row, size_t threads) {
    const uint32_t positions = 4096;
    platform::Team team(threads);
    const std::vector<std::byte> memory(size_t{96} << 20, std::byte{1});
    const double read = static_cast<double>(memory.size()) * 1e-9 / readSeconds(team, memory);
    std::printf("attention at %u; a plain read: %.2f GB/s\n", positions, read);
    for (const Heads& shape : kHeads)
        for (const KvType type : {KvType::F32, KvType::F16})
            for (const uint32_t rows : {1u, 256u}) {
                const double time = attentionSeconds(row, threads, shape, type, rows, positions);
                const double last = positions, each = rows;
                const double keys = each * (last - (each - 1) / 2);
                const double macs = keys * shape.heads * (shape.keyDim() + shape.dim) * 1e-9;
                const double bytes = positions * static_cast<double>(shape.valuesPerPosition()) *
                                     (type == KvType::F32 ? 4 : 2) * 1e-9;
                std::printf("%-18s %s %3u rows %9.3f ms %7.1f GMAC/s", shape.name,
                            type == KvType::F32 ? "f32" : "f16", rows, time * 1e3, macs / time);
                if (rows == 1) std::printf(" %6.2f GB/s", bytes / time);
                std::printf("\n");
                std::fflush(stdout);
            }
}

}  // namespace
}  // namespace conclave::engine::kernels

int main(int count, char** arguments) {
    using namespace conclave::engine;
    std::string name, only;
    size_t threads = platform::defaultThreads();
    for (int i = 1; i + 1 < count; i += 2) {
        if (std::strcmp(arguments[i], "--kernels") == 0)
            name = arguments[i + 1];
        else if (std::strcmp(arguments[i], "--threads") == 0)
            threads = std::strtoul(arguments[i + 1], nullptr, 10);
        else if (std::strcmp(arguments[i], "--only") == 0)
            only = arguments[i + 1];
    }
    const auto row = kernels::selectKernels(name);
    if (!row.ok() || threads < 1) {
        std::fprintf(stderr, "%s\n", row.ok() ? "--threads: give at least 1" : render(row.error()).c_str());
        return 2;
    }
    std::printf("%s, %zu threads\n", std::string(row.value()->name).c_str(), threads);
    if (only != "products") kernels::benchAttention(*row.value(), threads);
    if (only != "attention") kernels::benchProducts(*row.value(), threads);
    return 0;
}
