// kernels_bench [--kernels NAME] [--threads N]: GB/s of weights at one row and multiplications per second at
// many, for each format, beside a plain read of the same memory, and the time of attention. Medians of short
// runs.
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
                const MatmulGroup group{.w = w.in(row, activation), .rows = rows};
                return seconds([&] {
                    row.matmul(place.launch(), {&group, 1}, x.view(), y.view(), activation);
                });
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

void benchAttention(const Kernels& row, size_t threads) {
    const uint32_t heads = 16, kvHeads = 4, dim = 128, rank = 512, rope = 64, positions = 2048;
    Random random(2);
    for (const KvType type : {KvType::F32, KvType::F16}) {
        const size_t pageBytes = size_t{kPagePositions} * 4 * std::max(2 * kvHeads * dim, rank + rope);
        std::vector<float> memory(positions / 64 * pageBytes / 4);
        std::vector<std::byte*> pages;
        for (size_t at = 0; at < memory.size(); at += pageBytes / 4)
            pages.push_back(reinterpret_cast<std::byte*>(memory.data() + at));
        for (const uint32_t rows : {1u, 256u}) {
            std::vector<RowPlace> places;
            for (uint32_t i = 0; i < rows; ++i)
                places.push_back({positions - rows + i, pages.data()});
            const Floats q = Floats::random(random, rows, heads * (rank + rope));
            Floats out(rows, heads * rank);
            Workplace place(row, threads, rows, heads * (rank + rope));
            const double gqa = seconds([&] {
                row.attend(place.launch(),
                           {q.view(), places, {type, 0}, heads, kvHeads, dim, dim, 0.1f, 0, out.view()});
            });
            const double mla = seconds([&] {
                row.attendLatent(place.launch(),
                                 {q.view(), places, {type, 0}, heads, rank, rope, 0.1f, out.view()});
            });
            std::printf(
                "attention at %u, %s, %3u rows: 16/4 heads of 128 %8.3f ms, MLA 16 x (512+64) %8.3f ms\n",
                positions, type == KvType::F32 ? "f32" : "f16", rows, gqa * 1e3, mla * 1e3);
        }
    }
}

}  // namespace
}  // namespace conclave::engine::kernels

int main(int count, char** arguments) {
    using namespace conclave::engine;
    std::string name;
    size_t threads = platform::defaultThreads();
    for (int i = 1; i + 1 < count; i += 2) {
        if (std::strcmp(arguments[i], "--kernels") == 0)
            name = arguments[i + 1];
        else if (std::strcmp(arguments[i], "--threads") == 0)
            threads = std::strtoul(arguments[i + 1], nullptr, 10);
    }
    const auto row = kernels::selectKernels(name);
    if (!row.ok() || threads < 1) {
        std::fprintf(stderr, "%s\n", row.ok() ? "--threads: give at least 1" : render(row.error()).c_str());
        return 2;
    }
    std::printf("%s, %zu threads\n", std::string(row.value()->name).c_str(), threads);
    kernels::benchAttention(*row.value(), threads);
    kernels::benchProducts(*row.value(), threads);
    return 0;
}
