#include "engine/base/error.h"

#include <gtest/gtest.h>
#include <set>

namespace conclave::engine::base {
namespace {

TEST(Error, SaysWhatWhereAndWhatToDo) {
    const Error error{Code::TensorShape, "model.gguf", "blk.0.attn_q.weight", {"[64, 32]", "[64, 64]"}};
    EXPECT_EQ(
        render(error),
        "model.gguf: tensor blk.0.attn_q.weight has shape [64, 32] where the configuration needs [64, 64]");
}

TEST(Error, LeavesOutTheFileAndItsColonWhereThereIsNone) {
    EXPECT_EQ(render({Code::MissingTensor, "", "output.weight", {}}),
              "tensor output.weight is missing; download the model again or check the shards");
    EXPECT_EQ(render({Code::InvalidJson, "", "", {"unexpected end"}}), "not valid JSON: unexpected end");
}

TEST(Error, AMissingArgumentIsVisibleAndNotACrash) {
    EXPECT_EQ(render({Code::OutOfRange, "", "temperature", {}}),
              "temperature: ? is out of range; it must be ?");
}

TEST(Error, EveryCodeHasANameOfItsOwnAndASentence) {
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(Code::Internal); ++i) {
        const auto code = static_cast<Code>(i);
        EXPECT_TRUE(names.insert(codeName(code)).second) << codeName(code);
        EXPECT_FALSE(render({code, "f", "x", {"a", "b"}}).empty());
    }
}

}  // namespace
}  // namespace conclave::engine::base
