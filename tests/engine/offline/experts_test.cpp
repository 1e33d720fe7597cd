#include "engine/offline/experts.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <numeric>

#include "engine/base/utf8.h"
#include "engine/offline/expert_map.h"

namespace conclave::engine::offline {
namespace {

const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/";
const std::string kStarter = CONCLAVE_SOURCE_DIR "/resources/models/starter";

/// A folder of one test's own.
class Folder {
  public:
    Folder() : path_(std::filesystem::path(::testing::TempDir()) / "conclave-experts-XXXXXX") {
        std::string form = path_.string();
        EXPECT_NE(::mkdtemp(form.data()), nullptr);
        path_ = form;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string path() const { return path_.string(); }
    void write(const std::string& name, const std::string& content) const {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name, std::ios::binary) << content;
    }

  private:
    std::filesystem::path path_;
};

TEST(TextSource, AFolderIsReadInOrderWithoutWhatIsNoText) {
    const Folder folder;
    folder.write("b/one.txt", "one");
    folder.write("a.cpp", "first");
    folder.write("b/zero", std::string("a\0b", 3));
    folder.write("broken", "caf\xE9");
    folder.write("empty", "");
    folder.write(".git/config", "hidden");
    folder.write(".hidden", "hidden");
    std::filesystem::create_symlink("a.cpp", folder.path() + "/link");
    const auto source = readTexts(folder.path());
    ASSERT_TRUE(source.ok());
    EXPECT_EQ(source->texts, (std::vector<std::string>{"first", "one"}));
    EXPECT_EQ(source->skipped, 3u);
    const auto one = readTexts(folder.path() + "/b/one.txt");
    ASSERT_TRUE(one.ok());
    EXPECT_EQ(one->texts, std::vector<std::string>{"one"});
}

TEST(TextSource, WhatHoldsNoTextIsRefused) {
    const Folder folder;
    folder.write("broken", "caf\xE9");
    EXPECT_EQ(readTexts(folder.path()).error().code, base::Code::BadArgument);
    EXPECT_EQ(readTexts(folder.path() + "/broken").error().code, base::Code::InvalidUtf8);
    EXPECT_EQ(readTexts(folder.path() + "/nothing").error().code, base::Code::FileNotFound);
    EXPECT_EQ(textSource("standard input", "").error().code, base::Code::BadArgument);
}

ExpertsReport report(ExpertsOptions options) {
    options.threads = 1;
    options.load.activations = model::ActivationChoice::Preferred;
    auto made = experts(options);
    EXPECT_TRUE(made.ok()) << base::render(made.error());
    return made.ok() ? *std::move(made) : ExpertsReport();
}

TextSource text(const std::string& name, const std::string& content) {
    return {.name = name, .texts = {content}};
}

std::string longText() {
    std::string out;
    for (int i = 0; i < 120; ++i)
        out += "Parcel " + std::to_string(i * 37) + " is late; please write to Ann.\n";
    return out;
}

TEST(Experts, EveryTokenOfATextIsCountedInWhateverPieces) {
    const ExpertsReport whole = report({.model = kStarter, .text = text("a", longText())});
    const ExpertsReport cut = report({.model = kStarter, .text = text("a", longText()), .context = 100});
    EXPECT_EQ(whole.text.tokens, cut.text.tokens);
    EXPECT_GT(whole.text.tokens, 1000u);
    EXPECT_EQ(cut.piece, 100u);
    EXPECT_GE(cut.text.pieces, whole.text.tokens / 100);
    for (const ExpertsReport* one : {&whole, &cut}) {
        ASSERT_FALSE(one->text.layers.empty());
        EXPECT_EQ(one->advice.size(), one->text.layers.size());
        for (const model::LayerLoad& layer : one->text.layers) {
            EXPECT_EQ(layer.counts.size(), one->experts);
            EXPECT_EQ(layer.picks, one->text.tokens * one->chosen);
        }
    }
    EXPECT_NE(whole.text.layers.back().counts, cut.text.layers.back().counts) << "pieces see each other not";
    const TextSource twice{.name = "two files", .texts = {longText(), longText()}};
    const ExpertsReport both = report({.model = kStarter, .text = twice});
    EXPECT_EQ(both.text.files, 2u);
    for (size_t i = 0; i < both.text.layers.size(); ++i)
        for (size_t e = 0; e < both.experts; ++e)
            EXPECT_EQ(both.text.layers[i].counts[e], 2 * whole.text.layers[i].counts[e]);
}

TEST(Experts, TwoTextsAreCompared) {
    std::string numbers;
    for (int i = 0; i < 400; ++i)
        numbers += std::to_string(i * 7919 % 1000) + "+";
    const ExpertsReport same =
        report({.model = kStarter, .text = text("a", longText()), .compare = text("b", longText())});
    for (const LayerOverlap& layer : same.overlap) {
        EXPECT_NEAR(layer.load, 1, 1e-9);
        EXPECT_EQ(layer.top, 1);
    }
    const ExpertsReport other =
        report({.model = kStarter, .text = text("a", longText()), .compare = text("n", numbers)});
    ASSERT_EQ(other.overlap.size(), other.text.layers.size());
    for (const LayerOverlap& layer : other.overlap) {
        EXPECT_LT(layer.load, 0.95) << layer.layer;
        EXPECT_GT(layer.load, 0) << layer.layer;
    }
    const auto json = toJson(other);
    EXPECT_EQ(json["compare"]["name"], "n");
    EXPECT_EQ(json["overlap"].size(), other.overlap.size());
}

TEST(Experts, TheAdviceIsWhatAToolReads) {
    const ExpertsReport made =
        report({.model = kModels + "olmoe-tiny", .text = text("a", longText()), .carry = 0.5});
    const auto json = toJson(made);
    EXPECT_EQ(json["carry"], 0.5);
    ASSERT_EQ(json["tune"].size(), made.text.layers.size());
    for (size_t i = 0; i < made.text.layers.size(); ++i) {
        const auto& tune = json["tune"][i];
        const model::LayerLoad& layer = made.text.layers[i];
        EXPECT_EQ(tune["layer"], layer.layer);
        const std::vector<uint32_t> chosen = tune["experts"];
        uint64_t carried = 0;
        for (const uint32_t expert : chosen)
            carried += layer.counts[expert];
        EXPECT_GE(2 * carried, layer.picks);
        EXPECT_LT(2 * (carried - layer.counts[chosen.back()]), layer.picks) << "no fewer do";
        EXPECT_NEAR(tune["carried"], static_cast<double>(carried) / static_cast<double>(layer.picks), 1e-9);
        EXPECT_EQ(json["freeze"][i]["experts"].size(), static_cast<size_t>(layer.load->dead));
        EXPECT_EQ(json["text"]["layers"][i]["counts"].size(), made.experts);
    }
}

TEST(Experts, AShortTextIsWarnedOf) {
    const auto warns = [](const ExpertsReport& made) {
        return std::ranges::any_of(made.warnings, [](const std::string& warning) {
            return warning.find("tokens are few") != std::string::npos;
        });
    };
    EXPECT_TRUE(warns(report({.model = kModels + "olmoe-tiny", .text = text("short", "Hi")})));
    EXPECT_FALSE(warns(report({.model = kModels + "olmoe-tiny", .text = text("long", longText())})));
}

TEST(Experts, MistakesAreRefused) {
    const auto code = [](ExpertsOptions options) { return experts(options).error(); };
    const base::Error dense = code({.model = kModels + "llama-tiny", .text = text("a", "Hi")});
    EXPECT_EQ(dense.code, base::Code::BadArgument);
    EXPECT_NE(base::render(dense).find("has no experts"), std::string::npos);
    EXPECT_EQ(code({.model = kStarter, .text = text("a", "Hi"), .threads = 100000}).code,
              base::Code::TooManyThreads);
    EXPECT_EQ(code({.model = kStarter, .text = text("a", "Hi"), .carry = 0}).code, base::Code::OutOfRange);
    EXPECT_EQ(code({.model = kStarter, .text = text("a", "Hi"), .context = 1}).code, base::Code::OutOfRange);
}

TEST(HeatMap, StepsOfHeat) {
    // 100 picks of 10 experts: even is 10.
    const std::pair<uint32_t, uint32_t> cases[] = {{0, 0},  {1, 1},  {3, 2},  {6, 3},  {8, 4},  {10, 4},
                                                   {12, 4}, {13, 5}, {25, 6}, {50, 7}, {79, 7}, {80, 8}};
    for (const auto& [count, heat] : cases)
        EXPECT_EQ(heatOf(count, 100, 10), heat) << count;
}

size_t columns(std::string_view line) {
    size_t count = 0;
    for (size_t at = 0; at < line.size(); ++count)
        base::nextCodePoint(line, at);
    return count;
}

TEST(HeatMap, FitsTheTerminalWhateverTheModel) {
    for (const uint32_t experts : {1u, 4u, 8u, 16u, 60u, 64u, 128u, 160u, 256u, 384u}) {
        TextExperts text{.name = "x"};
        for (uint32_t layer = 0; layer < 3; ++layer) {
            model::LayerLoad load{.layer = layer + 98, .counts = std::vector<uint32_t>(experts)};
            if (layer < 2) {
                std::ranges::fill(load.counts, 3u);
                load.counts.back() = 400;
                load.picks = std::accumulate(load.counts.begin(), load.counts.end(), uint64_t{0});
                load.load = model::loadOf(load.counts);
            }
            text.layers.push_back(load);
        }
        const std::string map = heatMap(text, experts, Colour::No);
        ASSERT_TRUE(base::isValidUtf8(map));
        size_t lines = 0, width = 0;
        for (size_t at = 0; at < map.size(); ++lines) {
            const size_t end = map.find('\n', at);
            const size_t wide = columns(std::string_view(map).substr(at, end - at));
            EXPECT_LE(wide, 80u) << map;
            if (lines == 0) width = wide;
            if (lines < 4) {
                EXPECT_EQ(wide, width) << experts << "\n" << map;
            }
            at = end + 1;
        }
        EXPECT_EQ(lines, 5u);
        EXPECT_EQ(map.find('\x1b'), std::string::npos);
        EXPECT_NE(heatMap(text, experts, Colour::Yes).find("\x1b[38;5;"), std::string::npos);
    }
}

TEST(HeatMap, ThePictureHasACellForEveryExpert) {
    ExpertsReport made =
        report({.model = kStarter, .text = text("a<b&c", longText()), .compare = text("other", longText())});
    const std::string svg = heatMapSvg(made);
    const auto count = [&](const std::string& what) {
        size_t found = 0;
        for (size_t at = svg.find(what); at != std::string::npos; at = svg.find(what, at + 1))
            ++found;
        return found;
    };
    EXPECT_TRUE(svg.starts_with("<svg "));
    EXPECT_TRUE(svg.ends_with("</svg>\n"));
    EXPECT_EQ(count("<title>"), 2 * made.experts * made.text.layers.size());
    EXPECT_EQ(count("<text"), count("</text>"));
    EXPECT_NE(svg.find("a&lt;b&amp;c"), std::string::npos);
    EXPECT_EQ(svg.find("a<b"), std::string::npos);
}

}  // namespace
}  // namespace conclave::engine::offline
