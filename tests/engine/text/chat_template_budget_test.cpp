#include <gtest/gtest.h>
#include <pthread.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/text/chat_template.h"

// Hostile templates end quickly, with a sentence, on a small stack.
namespace conclave::engine::text {
namespace {

using base::Code;
using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStackFactor = 6;  // sanitizers widen every frame
#else
constexpr size_t kStackFactor = 1;
#endif

/// Runs `work` on a thread with a stack of so many KiB.
template <class Work> void onSmallStack(size_t kibibytes, Work work) {
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, kStackFactor * (kibibytes << 10)), 0);
    pthread_t thread;
    const auto start = [](void* raw) -> void* {
        (*static_cast<Work*>(raw))();
        return nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, &attributes, start, &work), 0);
    ASSERT_EQ(pthread_join(thread, nullptr), 0);
    pthread_attr_destroy(&attributes);
}

/// With a shorter clock than a real rendering has, so that the tests are quick.
base::Result<RenderedPrompt> render(const std::string& source, const Json& input = Json::object()) {
    TemplateBudget budget;
    budget.time = 400ms * static_cast<int>(kStackFactor);
    auto parsed = ChatTemplate::parse(source, budget);
    if (!parsed.ok()) return parsed.error();
    return parsed->render(input, std::chrono::system_clock::now());
}

std::string repeated(const std::string& what, size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i)
        out += what;
    return out;
}

TEST(ChatTemplateBudget, DeepSyntaxIsRefusedOnASmallStack) {
    constexpr size_t kMany = 100'000;
    onSmallStack(256, [] {
        for (const std::string& source : std::initializer_list<std::string>{
                 "{{ " + repeated("(", kMany) + "1" + repeated(")", kMany) + " }}",
                 "{{ " + repeated("[", kMany) + "1" + repeated("]", kMany) + " }}",
                 "{{ " + repeated("{1:", kMany) + "1" + repeated("}", kMany) + " }}",
                 "{{ " + repeated("f(", kMany) + "1" + repeated(")", kMany) + " }}",
                 "{{ " + repeated("x[", kMany) + "1" + repeated("]", kMany) + " }}",
                 "{{ " + repeated("1 if 1 else ", kMany) + "1 }}",
                 repeated("{% if 1 %}", kMany) + repeated("{% endif %}", kMany),
                 repeated("{% for x in y %}", kMany) + repeated("{% endfor %}", kMany),
                 "{% set " + repeated("(", kMany) + "a" + repeated(")", kMany) + " = 1 %}",
                 "{{ " + repeated("(", kMany),
                 repeated("{% macro m() %}", kMany),
             }) {
            const auto out = ChatTemplate::parse(source);
            ASSERT_FALSE(out.ok()) << source.substr(0, 40);
            const bool expected =
                out.error().code == Code::TemplateBudget || out.error().code == Code::TemplateSyntax;
            EXPECT_TRUE(expected) << base::render(out.error());
        }
    });
    EXPECT_NE(base::render(ChatTemplate::parse("{{ " + repeated("(", 200)).error())
                  .find("chat template too deeply nested"),
              std::string::npos);
}

TEST(ChatTemplateBudget, LongButFlatSyntaxIsFine) {
    constexpr size_t kMany = 20'000;
    onSmallStack(256, [] {
        const auto text = [](const std::string& source) {
            const auto out = render(source, {{"d", {{"x", 1}}}});
            return out.ok() ? out->text() : base::render(out.error());
        };
        EXPECT_EQ(text("{{ 1" + repeated(" + 1", kMany) + " }}"), std::to_string(kMany + 1));
        EXPECT_EQ(text("{{ ('a'" + repeated(" + 'a'", kMany) + ")|length }}"), std::to_string(kMany + 1));
        EXPECT_EQ(text("{{ ('a'" + repeated(" ~ 'a'", kMany) + ")|length }}"), std::to_string(kMany + 1));
        EXPECT_EQ(text("{{ 'a'" + repeated("|trim", kMany) + " }}"), "a");
        EXPECT_EQ(text("{{ 'a'" + repeated(".strip()", kMany) + " }}"), "a");
        EXPECT_EQ(text("{{ 0" + repeated(" or 0", kMany) + " }}"), "0");
        EXPECT_EQ(text("{{ " + repeated("not ", kMany) + "0 }}"), "False");
        EXPECT_EQ(text("{{ " + repeated("- ", kMany) + "1 }}"), "1");
        EXPECT_EQ(text("{{ 1" + repeated(" is in [1]", kMany) + " }}"), "True");
        EXPECT_EQ(text("{% if 0 %}" + repeated("{% elif 0 %}", kMany) + "{% else %}x{% endif %}"), "x");
    });
}

TEST(ChatTemplateBudget, RunawayTemplatesEndQuickly) {
    const auto started = std::chrono::steady_clock::now();
    const std::string sources[] = {
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{% if 1 %}{% if 1 %}{{ a() }}{% endif %}{% "
        "endif %}{% endmacro %}{{ a() }}",
        "{% macro m() %}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{{ range(10 ** 9)|list }}",
        "{{ range(-(10 ** 18), 10 ** 18)|join }}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ 10 ** 9 * 'x' }}",
        "{{ [0] * 10 ** 9 }}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(2000) %}{% set ns.l = [ns.l, ns.l] %}{% endfor "
        "%}{{ "
        "ns.l }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(2000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l "
        "}}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(2000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ "
        "ns.l|tojson }}",
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(2000) %}{% set ns.a = [ns.a] %}{% set ns.b "
        "= "
        "[ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}",
        "{% set d = {} %}{% set _ = d.update(d=d) %}{{ d|tojson }}",
        "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor "
        "%}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% for a in range(1000000) %}{{ 'abcdefghijklmnopqrstuvwxyz' }}{% endfor %}{% for a in "
        "range(1000000) %}{{ 'abcdefghijklmnopqrstuvwxyz' }}{% endfor %}",
        "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(21) %}{% set ns.s = "
        "ns.s.replace('x', 'xx') %}{% endfor %}",
        "{{ '%1000000000s' % 'x' }}",
        "{{ '%.1000000000f' % 1.0 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '{:1000000000}'.format('x') }}",
        "{{ '{:.1000000000f}'.format(1.0) }}",
        "{{ 'x'.center(1000000000) }}",
        "{{ 'x'.zfill(1000000000) }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ 'x'|indent(1000000000) }}",
        "{{ 'a\tb'.expandtabs(1000000000) }}",
        "{{ [1]|tojson(indent=1000000000) }}",
        "{{ [1]|batch(1000000000, 0)|list }}",
        "{{ [1]|slice(1000000000)|list }}",
        "{{ 2 ** 64 }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ -(-9223372036854775807 - 1) }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ ('x' * 10000000) in ('x' * 10000000) }}{% for i in range(100000) %}{% if ('x' * "
        "1000000).count('x') %}{% endif %}{% endfor %}",
        "{% set ns = namespace(l=[]) %}{% for i in range(1000000) %}{% set _ = ns.l.append('x' * 100000) "
        "%}{% endfor %}",
        "{% for i in range(1000000) %}{% set _ = {}.update(**{}) %}{% set _ = namespace(a=[1, 2, 3, 4, 5, 6, "
        "7, 8, 9]) %}{% macro m() %}{% endmacro %}{% endfor %}",
        "{{ ('[' * 1000000)|from_json }}",
        "{{ range(1000000)|sort|map('string')|sort|join|length }}{{ "
        "range(1000000)|map('string')|sort|unique|groupby(0)|list|length }}",
    };
    for (const std::string& source : sources) {
        const auto before = std::chrono::steady_clock::now();
        const auto out = render(source);
        const auto took = std::chrono::steady_clock::now() - before;
        EXPECT_FALSE(out.ok()) << source;
        if (!out.ok()) {
            const Code code = out.error().code;
            EXPECT_TRUE(code == Code::TemplateBudget || code == Code::TemplateFailed)
                << source << ": " << base::render(out.error());
        }
        EXPECT_LT(took, 2s * static_cast<int>(kStackFactor)) << source;
    }
    EXPECT_LT(std::chrono::steady_clock::now() - started, 30s * static_cast<int>(kStackFactor));
}

/// Done or refused, but soon: searches are linear, and what reads long texts is charged for it.
TEST(ChatTemplateBudget, LongTextsCannotHideFromTheClock) {
    const std::string texts = "{% set a = 'a' * 2000000 %}{% set n = 'a' * 1000000 ~ 'b' %}";
    for (const std::string& body : std::initializer_list<std::string>{
             "{{ n in a }}",
             "{{ a.find(n) }}",
             "{{ a.rfind(n) }}",
             "{{ a.rfind('b' ~ n) }}",
             "{{ a.count(n) }}",
             "{{ a.split(n)|length }}",
             "{{ a.rsplit(n)|length }}",
             "{{ a.rpartition(n)|length }}",
             "{{ a|replace(n, 'x')|length }}",
             "{% for i in range(100000) %}{% if a == 'a' * 2000000 %}{% endif %}{% endfor %}",
             "{% for i in range(100000) %}{% if n < n %}{% endif %}{% endfor %}",
             "{% set l = [n] * 100000 %}{{ 'b' * 1000001 in l }}{{ l|sort|length }}",
             "{% set d = {a: 1, n: 2} %}{% for i in range(100000) %}{{ d[n] }}{{ n in d }}{{ d.get(n) }}{% "
             "endfor %}",
             "{% for i in range(100000) %}{{ a|length }}{{ a[5] }}{{ a[-1:] }}{{ a.startswith(n) }}{% endfor "
             "%}",
             "{% for i in range(100000) %}{{ a is lower }}{{ a is sameas a }}{{ n|int }}{{ a.isalpha() }}{% "
             "endfor %}",
             "{{ ('<' * 2000000)|striptags|length }}{{ ('<!--' * 2000000)|striptags|length }}",
             "{{ ('{' * 2000000).format() }}",
             "{{ ('%' * 2000001) % () }}",
             "{% set s = ('ab' * 100000)|list|join(x) %}{% for c in s %}{% endfor %}{% for i in "
             "range(100000) %}{{ s[i] }}{% endfor %}",
         }) {
        const auto before = std::chrono::steady_clock::now();
        const auto out = render(texts + body, {{"x", "-"}});
        EXPECT_LT(std::chrono::steady_clock::now() - before, 2s * static_cast<int>(kStackFactor)) << body;
        if (!out.ok()) {
            EXPECT_TRUE(out.error().code == Code::TemplateBudget || out.error().code == Code::TemplateFailed)
                << body << ": " << base::render(out.error());
        }
    }
}

TEST(ChatTemplateBudget, AnEndlessSourceIsRefused) {
    EXPECT_EQ(ChatTemplate::parse(std::string(size_t{2} << 20, 'x')).error().code, Code::TemplateBudget);
}

TEST(ChatTemplateBudget, RecursionHoldsOnASmallStack) {
    onSmallStack(1024, [] {
        std::string deep = "m()";
        for (int i = 0; i < 100; ++i)
            deep = "[" + deep + "]";
        for (const std::string& source : std::initializer_list<std::string>{
                 "{% macro m() %}{{ " + deep + " }}{% endmacro %}{{ m() }}",
                 std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
                 "{% macro m() %}" + repeated("{% if 1 %}", 60) + "{% for x in [1] %}{{ m() }}{% endfor %}" +
                     repeated("{% endif %}", 60) + "{% endmacro %}{{ m() }}"}) {
            const auto out = render(source);
            ASSERT_FALSE(out.ok());
            EXPECT_EQ(out.error().code, Code::TemplateBudget);
            EXPECT_NE(base::render(out.error()).find("too deeply nested"), std::string::npos);
        }
    });
}

TEST(ChatTemplateBudget, DeepInputIsRefused) {
    Json deep = 1;
    for (int i = 0; i < 5000; ++i)
        deep = Json::array({std::move(deep)});
    const Json input = {{"x", std::move(deep)}};
    onSmallStack(1024, [&input] {
        const auto out = render("{{ x }}", input);
        ASSERT_FALSE(out.ok());
        EXPECT_EQ(out.error().code, Code::TemplateBudget);
        // What the template never mentions costs nothing.
        EXPECT_TRUE(render("hi", input).ok());
    });
}

TEST(ChatTemplateBudget, TheClockStopsATemplate) {
    TemplateBudget budget;
    budget.steps = UINT64_MAX / 2;
    budget.time = 100ms;
    auto parsed = ChatTemplate::parse(
        "{% for a in range(1000000) %}{% for b in range(1000000) %}{% endfor %}{% endfor %}", budget);
    ASSERT_TRUE(parsed.ok());
    const auto before = std::chrono::steady_clock::now();
    const auto out = parsed->render(Json::object(), std::chrono::system_clock::now());
    ASSERT_FALSE(out.ok());
    EXPECT_EQ(base::render(out.error()), "chat template: it takes longer than 100 ms; use another template");
    EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
}

TEST(ChatTemplateBudget, ALongConversationFits) {
    Json input = {{"messages", Json::array()}};
    for (int i = 0; i < 2000; ++i)
        input["messages"].push_back(
            {{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", repeated("some words and more ", 60)}});
    const auto out = render("{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content|trim + "
                            "'<|im_end|>\\n' }}{% endfor %}",
                            input);
    ASSERT_TRUE(out.ok()) << base::render(out.error());
    EXPECT_GT(out->text().size(), 2'400'000u);
}

}  // namespace
}  // namespace conclave::engine::text
