#include "engine/residency/weights.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/formats/safetensors.h"
#include "tests/engine/residency/directory.h"

namespace conclave::engine::residency {
namespace {

using base::Code;
using quant::Format;

/// Of two, so that what workers do besides the caller is seen as well.
platform::Team& team() {
    static platform::Team two(2);
    return two;
}

Weights load(const Directory& d, std::vector<Request> requests, const PlanOptions& options = {}) {
    auto plan = makePlan(d.tensors, std::move(requests), options);
    EXPECT_TRUE(plan.ok()) << base::render(plan.error());
    auto weights = loadWeights(*plan, d.tensors, team(), nullptr);
    EXPECT_TRUE(weights.ok());
    return std::move(weights).value();
}

std::vector<float> floats(const kernels::MatrixView& m) {
    std::vector<float> out;
    for (uint32_t row = 0; row < m.rows; ++row) {
        const auto* values = reinterpret_cast<const float*>(m.data + row * m.stride);
        out.insert(out.end(), values, values + m.cols);
    }
    return out;
}

TEST(Weights, MatricesAreCopiedAsTheyAre) {
    Directory d;
    d.add("w", {2, 3}, {1, 2, 3, 4, 5, 6});
    const Weights weights = load(d, {wanted("w", {2, 3}, 2, 3)});
    EXPECT_EQ(floats(weights.matrix(0)), (std::vector<float>{1, 2, 3, 4, 5, 6}));
    EXPECT_NE(weights.matrix(0).data, d.tensors.find("w")->bytes.data());
}

TEST(Weights, VectorsAreDecoded) {
    Directory d;
    const uint16_t halves[] = {0x3c00, 0xc000};  // 1, -2
    const auto bytes = std::as_bytes(std::span(halves));
    d.add("norm", Format::F16, {2}, {bytes.begin(), bytes.end()});
    Request request = wanted("norm", {2}, 1, 2);
    request.keep = Keep::Converted;
    const Weights weights = load(d, {request});
    EXPECT_EQ(weights.vector(0)[0], 1);
    EXPECT_EQ(weights.vector(0)[1], -2);
}

TEST(Weights, ExpertsComeStackedOrOneByOne) {
    Directory d;
    d.add("stack", {2, 1, 2}, {1, 2, 3, 4});
    d.add("e0", {1, 2}, {5, 6});
    d.add("e1", {1, 2}, {7, 8});
    Request stack = wanted("stack", {2, 1, 2}, 1, 2), single = wanted("e0", {1, 2}, 1, 2);
    stack.matrices = single.matrices = 2;
    single.tensors = {"e0", "e1"};
    const Weights weights = load(d, {stack, single});
    EXPECT_EQ(floats(weights.matrix(0, 1)), (std::vector<float>{3, 4}));
    EXPECT_EQ(floats(weights.matrix(1, 0)), (std::vector<float>{5, 6}));
    EXPECT_EQ(floats(weights.matrix(1, 1)), (std::vector<float>{7, 8}));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.matrix(1, 1).data) % 64, 0u);
}

TEST(Weights, HalvesAreCutAndTransposed) {
    Directory d;
    d.add("kv_b", {6, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});  // two heads: two key rows, one value row
    Request key = wanted("kv_b", {6, 2}, 3, 2);
    key.matrices = 2;
    key.period = 3;
    key.count = 2;
    key.keep = Keep::TransposedSlices;
    Request value = key;
    value.first = 2;
    value.count = 1;
    value.keep = Keep::Slices;
    const Weights weights = load(d, {key, value});
    EXPECT_EQ(floats(weights.matrix(0, 0)), (std::vector<float>{1, 3, 2, 4}));
    EXPECT_EQ(floats(weights.matrix(0, 1)), (std::vector<float>{7, 9, 8, 10}));
    EXPECT_EQ(floats(weights.matrix(1, 1)), (std::vector<float>{11, 12}));
}

TEST(Weights, Fp8KeepsItsBytesAndScalesOrIsDecodedWithThem) {
    Directory d;
    const std::vector<std::byte> codes = {std::byte{0x38}, std::byte{0x40}, std::byte{0xb8}};  // 1, 2, -1
    d.add("w", Format::F8E4M3, {1, 3}, codes);
    d.add("w_scale_inv", {1, 2}, {10, 100});
    Request kept = wanted("w", {1, 3}, 1, 3), decoded = kept;
    decoded.keep = Keep::Converted;
    PlanOptions options;
    options.blockCols = 2;
    const Weights weights = load(d, {kept, decoded}, options);
    const kernels::MatrixView m = weights.matrix(0);
    EXPECT_EQ(m.format, Format::F8E4M3);
    EXPECT_EQ(m.data[1], std::byte{0x40});
    EXPECT_EQ(m.scaleCols, 2u);
    EXPECT_EQ(m.scales[0], 10);
    EXPECT_EQ(m.scales[1], 100);
    EXPECT_EQ(floats(weights.matrix(1)), (std::vector<float>{10, 20, -100}));
}

TEST(Weights, NoMemoryIsAnError) {
    Directory d;
    d.add("w", {1}, {1});
    auto plan = makePlan(d.tensors, {wanted("w", {1}, 1, 1)}, {});
    ASSERT_TRUE(plan.ok());
    platform::failAllocationAfter(1);
    const auto weights = loadWeights(*plan, d.tensors, team(), nullptr);
    platform::failAllocationAfter(0);
    ASSERT_FALSE(weights.ok());
    EXPECT_EQ(weights.error().code, Code::OutOfMemory);
    plan->bytes = uint64_t{1} << 50;
    EXPECT_EQ(loadWeights(*plan, d.tensors, team(), nullptr).error().code, Code::OutOfMemory);
}

/// Bytes of a safetensors file with one float32 tensor "w" of `count` ones.
std::string onesFile(size_t count) {
    std::string header = R"({"w":{"dtype":"F32","shape":[)" + std::to_string(count) +
                         R"(],"data_offsets":[0,)" + std::to_string(count * 4) + "]}}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const uint64_t size = header.size();
    const std::vector<float> ones(count, 1);
    return std::string(reinterpret_cast<const char*>(&size), 8) + header +
           std::string(reinterpret_cast<const char*>(ones.data()), count * 4);
}

struct FileWeights : testing::Test {
    std::string folder, path;
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "conclave-weights-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder = pattern;
        path = folder + "/w.safetensors";
    }
    void TearDown() override { std::filesystem::remove_all(folder); }
};

TEST_F(FileWeights, AFileThatChangesWhileItIsReadIsAnError) {
    std::ofstream(path, std::ios::binary) << onesFile(1000);
    formats::TensorDirectory tensors;
    ASSERT_TRUE(formats::readSafetensors(path, tensors).ok());
    const auto plan = makePlan(tensors, {wanted("w", {1000}, 1, 1000)}, {});
    ASSERT_TRUE(plan.ok());
    const auto weights = loadWeights(*plan, tensors, team(), [&](uint64_t, uint64_t) {
        std::ofstream(path, std::ios::binary | std::ios::app) << "more";
    });
    ASSERT_FALSE(weights.ok());
    EXPECT_EQ(weights.error().code, Code::FileChanged);
    EXPECT_EQ(weights.error().file, path);
}

TEST_F(FileWeights, AFileThatIsCutWhileItIsReadIsAnErrorToo) {
    constexpr uint32_t kFloats = 16 << 20;
    std::ofstream(path, std::ios::binary) << onesFile(kFloats);
    formats::TensorDirectory tensors;
    ASSERT_TRUE(formats::readSafetensors(path, tensors).ok());
    const auto plan = makePlan(tensors, {wanted("w", {kFloats}, 1, kFloats)}, {});
    ASSERT_TRUE(plan.ok());
    std::filesystem::resize_file(path, 4096);
    const auto weights = loadWeights(*plan, tensors, team(), {});
    ASSERT_FALSE(weights.ok());
    EXPECT_EQ(weights.error().code, Code::FileChanged);
}

uint64_t peakKiB() {
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
    return 0;
}

TEST_F(FileWeights, ThePeakStaysNearTheSizeOfTheModel) {
    constexpr uint64_t kCount = uint64_t{16} << 20;  // 64 MiB
    {
        std::ofstream out(path, std::ios::binary);
        std::string header = R"({"w":{"dtype":"F32","shape":[)" + std::to_string(kCount) +
                             R"(],"data_offsets":[0,)" + std::to_string(kCount * 4) + "]}}";
        header.resize((header.size() + 7) / 8 * 8, ' ');
        const uint64_t size = header.size();
        out.write(reinterpret_cast<const char*>(&size), 8);
        out << header;
        const std::string piece(1 << 20, '\1');
        for (uint64_t i = 0; i < kCount * 4 >> 20; ++i)
            out << piece;
    }
    std::ofstream reset("/proc/self/clear_refs");  // 5 sets the peak to what is resident now
    reset << "5" << std::flush;
    if (!reset.good()) GTEST_SKIP() << "/proc/self/clear_refs cannot be written here";
    const uint64_t before = peakKiB();
    formats::TensorDirectory tensors;
    ASSERT_TRUE(formats::readSafetensors(path, tensors).ok());
    const auto plan = makePlan(tensors, {wanted("w", {kCount}, 1, kCount)}, {});
    ASSERT_TRUE(plan.ok());
    const auto weights = loadWeights(*plan, tensors, team(), nullptr);
    ASSERT_TRUE(weights.ok());
    const double model = static_cast<double>(kCount * 4 / 1024);
    EXPECT_LE(static_cast<double>(peakKiB() - before), 1.1 * model);
    EXPECT_GE(static_cast<double>(peakKiB() - before), 0.9 * model);
}

}  // namespace
}  // namespace conclave::engine::residency
