#include "engine/synth/adapter.h"

#include <cmath>
#include <gtest/gtest.h>

#include "engine/formats/tensor_bytes.h"
#include "engine/model/adapter.h"
#include "engine/synth/synth.h"
#include "tests/engine/formats/scratch_folder.h"
#include "tests/engine/model/running.h"

namespace conclave::engine::synth {
namespace {

std::string sentence(const std::string& text) {
    const auto spec = readAdapterSpec(text);
    return spec.ok() ? "" : base::render(spec.error());
}

TEST(AdapterSpec, IsReadAndWrittenInOneForm) {
    EXPECT_EQ(toText(readAdapterSpec("16:attention").value()), "16:attention");
    EXPECT_EQ(toText(readAdapterSpec("8:router,experts,attention").value()), "8:attention,experts,router");
}

TEST(AdapterSpec, SaysInOneSentenceWhatIsWrong) {
    EXPECT_NE(sentence("16").find("write RANK:TARGETS"), std::string::npos);
    for (const char* text : {"0:experts", ":experts", "-1:experts", "1.5:experts", "99999999999:experts"})
        EXPECT_NE(sentence(text).find("no rank of 1 or more"), std::string::npos) << text;
    EXPECT_NE(sentence("4:experts,experts").find("twice"), std::string::npos);
    EXPECT_EQ(sentence("4:"), "target: \"\" is out of range; it must be one of attention, experts, shared, "
                              "dense, router");
}

TEST(SynthAdapter, SaysWhatAModelDoesNotHave) {
    const Spec dense = readSpec("synth:qwen2.5-coder-1.5b::1").value();
    EXPECT_EQ(base::render(makeAdapter(readAdapterSpec("4:experts").value(), dense).error()),
              "target: experts is out of range; it must be something that the model has");
    EXPECT_EQ(base::render(makeAdapter(readAdapterSpec("1537:attention").value(), dense).error()),
              "rank: 1537 is out of range; it must be 1 to 1536, the model's hidden size");
}

/// One layer with experts of each kind of attention, the smallest of their shapes.
class SynthAdapters : public testing::TestWithParam<const char*> {};

TEST_P(SynthAdapters, FindTheirPlacesAndChangeTheAnswer) {
    const std::string path = GetParam();
    const auto file = openGguf(path);
    ASSERT_TRUE(file.ok()) << base::render(file.error());
    model::LoadOptions options;
    options.activations = model::ActivationChoice::Preferred;
    options.maxRows = 4;
    const auto model = model::loadModel(*file, options);
    ASSERT_TRUE(model.ok()) << base::render(model.error());
    const bool shared = (*model)->config.sharedIntermediate > 0;
    const AdapterSpec spec =
        readAdapterSpec(shared ? "2:attention,experts,shared,dense,router" : "2:attention,experts,router")
            .value();
    const SynthFile made = makeAdapter(spec, readSpec(path).value()).value();

    const formats::ScratchFolder folder;
    std::vector<formats::GgufWriteTensor> tensors;
    for (const auto& tensor : made.tensors)
        tensors.push_back({tensor.name, tensor.format, tensor.shape, [&tensor](const auto& sink) {
                               std::vector<std::byte> all(formats::tensorBytes(tensor.format, tensor.shape));
                               tensor.fill(0, all);
                               return sink(all);
                           }});
    ASSERT_TRUE(formats::writeGguf(folder.path("a.gguf"), made.metadata, tensors, {}).ok());
    const auto opened = formats::openAdapter(folder.path("a.gguf"));
    ASSERT_TRUE(opened.ok()) << base::render(opened.error());
    const auto adapter = model::loadAdapter(*opened, **model);
    ASSERT_TRUE(adapter.ok()) << base::render(adapter.error());
    EXPECT_EQ((*adapter)->counts.pairs * 2, made.tensors.size());
    EXPECT_EQ((*adapter)->mostRank, 2u);

    platform::Team team(2);
    const auto tokens = model::someTokens(**model, 3, 7);
    const auto without = model::runAlone(**model, team, tokens, 3);
    const model::AdapterUse use{adapter->get(), 1.0f};
    const auto with = model::runAlone(**model, team, tokens, 3, false, {&use, 1});
    double squares = 0;
    for (size_t i = 0; i < with.size(); ++i) {
        ASSERT_TRUE(std::isfinite(with[i]));
        squares += std::pow(static_cast<double>(with[i]) - without[i], 2);
    }
    const double change = std::sqrt(squares / static_cast<double>(with.size()));
    EXPECT_GT(change, 0.01);
    EXPECT_LT(change, 1);
}

INSTANTIATE_TEST_SUITE_P(Shapes, SynthAdapters,
                         testing::Values("synth:olmoe-1b-7b:q4_k_m:1", "synth:deepseek-v2-lite:q4_k_m:2"),
                         [](const auto& info) {
                             return std::string(info.index == 0 ? "olmoe" : "deepseek");
                         });

}  // namespace
}  // namespace conclave::engine::synth
