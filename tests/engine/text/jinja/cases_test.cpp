#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "engine/text/chat_template.h"

// What Python's jinja2 made of a thousand small templates (tests/fixtures/templates/make_cases.py).
namespace conclave::engine::text {
namespace {

using base::Code;
using Json = nlohmann::ordered_json;

/// Where the failure is the same and the sentence is our own.
const std::set<std::string> kOwnSentence = {
    "{{ range() }}",         "{{ '%q' % 1 }}", "{{ '{} {}'.format(1) }}", "{{ '{x}'.format(1) }}",
    "{{ strftime_now(5) }}", "{{ '\\N' }}",    "{{ x[1:2, 3] }}",         "{% macro m( %}{% endmacro %}",
};

/// Where Python cannot and we can, or where its text is an address in memory.
const std::set<std::string> kOwnOutcome = {
    "{{ d.update }}",
    "{{ shadow.items }}",
    "{{ self is defined }}",
    "{{ n|items }}",
};

struct Recorded {
    Json input, cases;
    std::chrono::system_clock::time_point now;
};

const Recorded& recorded() {
    static const Recorded all = [] {
        std::ifstream in(CONCLAVE_SOURCE_DIR "/tests/fixtures/templates/jinja_cases.json");
        const Json file = Json::parse(in);
        std::tm parts{};
        EXPECT_NE(::strptime(file["now"].get<std::string>().c_str(), "%Y-%m-%dT%H:%M:%S", &parts), nullptr);
        parts.tm_isdst = -1;
        return Recorded{file["input"], file["cases"],
                        std::chrono::system_clock::from_time_t(std::mktime(&parts))};
    }();
    return all;
}

base::Result<RenderedPrompt> render(const Json& example) {
    auto parsed = ChatTemplate::parse(example["template"].get<std::string>());
    if (!parsed.ok()) return parsed.error();
    return parsed->render(recorded().input, recorded().now);
}

TEST(JinjaCases, RenderAsPythonDoes) {
    size_t compared = 0;
    for (const Json& example : recorded().cases) {
        const auto source = example["template"].get<std::string>();
        if (!example.contains("expected") || kOwnOutcome.count(source) != 0) continue;
        const auto out = render(example);
        ++compared;
        if (!out.ok())
            ADD_FAILURE() << source << "\n  " << base::render(out.error());
        else
            EXPECT_EQ(out->text(), example["expected"].get<std::string>()) << source;
    }
    EXPECT_GT(compared, 800u);
}

TEST(JinjaCases, FailAsPythonDoes) {
    size_t compared = 0;
    for (const Json& example : recorded().cases) {
        if (example.contains("expected")) continue;
        const auto source = example["template"].get<std::string>();
        const auto out = render(example);
        ++compared;
        ASSERT_FALSE(out.ok()) << source << " gave " << out->text();
        const bool isSyntax = example.contains("syntax");
        const Code code = out.error().code;
        if (isSyntax) {
            EXPECT_EQ(code, Code::TemplateSyntax) << source;
        } else {
            EXPECT_TRUE(code == Code::TemplateFailed || code == Code::TemplateRaised) << source;
        }
        if (kOwnSentence.count(source) != 0) continue;
        EXPECT_EQ(out.error().args.at(0), example[isSyntax ? "syntax" : "error"].get<std::string>())
            << source;
    }
    EXPECT_GT(compared, 120u);
}

TEST(JinjaCases, SpansJoinToTheText) {
    for (const Json& example : recorded().cases) {
        const auto out = render(example);
        if (!out.ok()) continue;
        for (size_t i = 0; i < out->spans.size(); ++i) {
            EXPECT_FALSE(out->spans[i].text.empty());
            if (i > 0) {
                EXPECT_NE(out->spans[i].trusted, out->spans[i - 1].trusted);
            }
        }
    }
}

}  // namespace
}  // namespace conclave::engine::text
