// Ten mebibytes of one thing: linear in time and bounded in stack, for every known pre-tokenizer.
#include <gtest/gtest.h>
#include <pthread.h>

#include <ctime>
#include <filesystem>
#include <functional>

#include "engine/base/utf8.h"
#include "engine/formats/gguf.h"
#include "engine/text/tokenizer.h"
#include "tests/engine/text/merge_texts.h"

namespace conclave::engine::text {
namespace {

constexpr size_t kBytes = size_t{10} << 20;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
constexpr bool kTimed = false;
constexpr size_t kStack = size_t{2} << 20;
#else
constexpr bool kTimed = true;
constexpr size_t kStack = size_t{256} << 10;
#endif

std::string repeat(const std::string& unit) {
    std::string out;
    out.reserve(kBytes + unit.size());
    while (out.size() < kBytes)
        out += unit;
    return out;
}

/// Characters from first to last in an order that does not repeat soon.
std::string shuffled(char32_t first, char32_t last) {
    std::string out;
    uint64_t state = 1;
    while (out.size() < kBytes) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        base::appendUtf8(out, first + static_cast<char32_t>((state >> 33) % (last - first + 1)));
    }
    return out;
}

const std::vector<std::pair<std::string, std::string>>& texts() {
    static const std::vector<std::pair<std::string, std::string>> all = {
        {"one letter", repeat("a")},
        {"one capital", repeat("Z")},
        {"spaces", repeat(" ")},
        {"spaces and a letter", repeat(" ") + "a"},
        {"spaces and a comma", repeat(" ") + "\xEF\xBC\x8C"},
        {"spaces and an emoji", repeat(" ") + "\xF0\x9F\x98\x80"},
        {"newlines", repeat("\n") + "x"},
        {"newlines and spaces", repeat("\n  \r\n\t ")},
        {"one emoji", repeat("\xF0\x9F\x98\x80")},
        {"emoji", shuffled(0x1F300, 0x1F64F)},
        {"one Chinese character", repeat("\xE4\xB8\xAD")},
        {"Chinese", shuffled(0x4E00, 0x9FA5)},
        {"digits", repeat("7")},
        {"letters", shuffled('a', 'z')},
        {"apostrophes", repeat("'")},
        {"combining marks", shuffled(0x300, 0x34E)},
        {"punctuation and letters", repeat("=x")},
    };
    return all;
}

/// Runs `work` on a thread with a small stack: what recursed for each character would overflow it.
void onSmallStack(const std::function<void()>& work) {
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, kStack), 0);
    pthread_t thread;
    const auto run = [](void* argument) -> void* {
        (*static_cast<const std::function<void()>*>(argument))();
        return nullptr;
    };
    auto* argument = const_cast<void*>(static_cast<const void*>(&work));
    ASSERT_EQ(pthread_create(&thread, &attributes, run, argument), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

/// What this thread has used of a core, so that a busy machine does not fail the test.
double threadSeconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// How many times slower than on a quiet machine memory answers at this moment, at least 1: long texts wait
/// for it, and neighbours share it.
double slowness() {
    constexpr double kQuietSeconds = 0.45;  // for the loop below, measured on the machine of docs/numbers.md
    constexpr uint32_t kMask = (1U << 24) - 1;
    std::vector<uint32_t> next(size_t{kMask} + 1);
    for (uint32_t i = 0; i <= kMask; ++i)
        next[i] = (i * 1664525U + 1013904223U) & kMask;  // one cycle through all of them
    const double begin = threadSeconds();
    uint32_t at = 0;
    for (int i = 0; i < 2'000'000; ++i)
        at = next[at];
    const double took = threadSeconds() - begin;
    return at <= kMask ? std::max(1.0, took / kQuietSeconds) : 1.0;
}

void expectLinear(const Tokenizer& tokenizer, const std::string& label) {
    for (const auto& [name, what] : texts()) {
        const std::string& text = what;  // clang 14 captures no structured binding
        // Letters in random order have the most to join, each somewhere else.
        const double limit = name == "letters" ? 5.0 : 2.0;
        double seconds = 0;
        std::string back;
        bool good = false;
        // A busy neighbour only ever adds time, so the smallest of three counts.
        for (int attempt = 0; attempt < 3 && (attempt == 0 || (kTimed && seconds >= limit)); ++attempt)
            onSmallStack([&] {
                const double begin = threadSeconds();
                const auto ids = tokenizer.encode(text, false, AddBos::No);
                const double took = threadSeconds() - begin;
                seconds = attempt == 0 ? took : std::min(seconds, took);
                good = ids.ok();
                if (good) back = tokenizer.decode(*ids, false).value();
            });
        EXPECT_TRUE(good) << label << ", " << name;
        EXPECT_TRUE(back == text) << label << ", " << name;
        if (kTimed && seconds >= limit) {
            EXPECT_LT(seconds, limit * slowness()) << label << ", " << name;
        }
        std::printf("%-24s %-26s %.2f s\n", label.c_str(), name.c_str(), seconds);
    }
}

/// A vocabulary of bytes and of doublings of some of them, so that every text above has something to join.
formats::TokenizerSpec doublings() {
    formats::TokenizerSpec spec;
    StatedMerges merges;
    spec.file = "doublings";
    spec.model = formats::TokenizerModel::ByteLevelBpe;
    spec.spaceMark = "";
    spec.addSpacePrefix = false;
    const auto alphabet = [](unsigned byte) {
        std::string out;
        base::appendUtf8(out, formats::byteToAlphabet(static_cast<unsigned char>(byte)));
        return out;
    };
    for (unsigned b = 0; b < 256; ++b)
        spec.tokens.push_back(alphabet(b));
    const auto join = [&](const std::string& left, const std::string& right) {
        merges.emplace_back(left, right);
        spec.tokens.push_back(left + right);
        return left + right;
    };
    for (const char* unit : {"a", "Z", " ", "\n", "7", "'"}) {
        std::string token = alphabet(static_cast<unsigned char>(*unit));
        for (int i = 0; i < 5; ++i)
            token = join(token, token);
    }
    const std::string emoji = join(alphabet(0xF0), alphabet(0x9F));
    join(emoji, join(alphabet(0x98), alphabet(0x80)));
    join(join(alphabet(0xE4), alphabet(0xB8)), alphabet(0xAD));
    for (unsigned second = 0x80; second < 0xC0; ++second)
        join(alphabet(0xE5), alphabet(second));
    spec.kinds.assign(spec.tokens.size(), formats::TokenKind::Normal);
    CONCLAVE_CHECK(formats::checkTokenizer(spec, textsOf(merges), {"tokens", "merges", "added"}).ok());
    return spec;
}

class Linear : public testing::TestWithParam<std::string> {};

TEST_P(Linear, TenMebibytes) {
    formats::TokenizerSpec spec = doublings();
    spec.preTokenizers = *formats::ggufPreSteps(GetParam());
    const auto tokenizer = Tokenizer::make(std::move(spec));
    ASSERT_TRUE(tokenizer.ok()) << base::render(tokenizer.error());
    expectLinear(*tokenizer, GetParam());
}

/// One name for each different list of steps.
std::vector<std::string> differentNames() {
    return {"default", "gpt-2",  "deepseek-llm", "deepseek-coder", "deepseek-v3",
            "qwen2",   "qwen35", "llama-bpe",    "starcoder",      "falcon",
            "tekken",  "gpt-4o", "bailingmoe",   "seed-coder"};
}

std::string testName(const testing::TestParamInfo<std::string>& info) {
    std::string name = info.param;
    for (char& c : name)
        if (c == '-') c = '_';
    return name;
}

INSTANTIATE_TEST_SUITE_P(Pre, Linear, testing::ValuesIn(differentNames()), testName);

class LinearVocabulary : public testing::TestWithParam<std::string> {};

TEST_P(LinearVocabulary, TenMebibytes) {
    const std::filesystem::path path = CONCLAVE_SOURCE_DIR "/../shared/tokenizers/" + GetParam() + ".gguf";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
    const auto file = formats::GgufFile::open(path.string());
    ASSERT_TRUE(file.ok());
    auto spec = formats::readGgufVocabulary(*file);
    ASSERT_TRUE(spec.ok());
    const auto tokenizer = Tokenizer::make(std::move(spec).value());
    ASSERT_TRUE(tokenizer.ok());
    expectLinear(*tokenizer, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Real, LinearVocabulary,
                         testing::Values("gpt-2", "deepseek-coder", "deepseek-llm", "llama-spm"), testName);

}  // namespace
}  // namespace conclave::engine::text
