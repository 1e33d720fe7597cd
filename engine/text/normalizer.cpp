#include "engine/text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "engine/base/utf8.h"

namespace conclave::engine::text {
namespace {

using base::Code;
using base::Error;
using base::Result;

// Below this code point every character is in form C already and joins nothing before it.
constexpr char32_t kFirstUnsafe = 0x300;
// utf8proc sorts marks by swapping neighbours, which is quadratic in the length of a run; longer runs are
// sorted here.
constexpr size_t kShortRun = 16;
// A text may grow by this much: ▁ for each space is a factor of three.
constexpr size_t kGrowth = 16, kGrowthAlways = 65536;

uint8_t combiningClass(char32_t c) {
    return static_cast<uint8_t>(utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class);
}

/// Canonical decomposition of one code point, appended.
void decompose(char32_t c, std::u32string& out) {
    std::array<utf8proc_int32_t, 32> parts{};
    int boundary = 0;
    const auto count = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c), parts.data(), parts.size(),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    CONCLAVE_CHECK(count > 0 && static_cast<size_t>(count) <= parts.size());
    for (size_t i = 0; i < static_cast<size_t>(count); ++i)
        out += static_cast<char32_t>(parts[i]);
}

/// The stretch with every long run of combining marks decomposed and in canonical order.
std::string sortLongRuns(std::string_view text) {
    std::string out;
    std::u32string marks;
    const auto flush = [&] {
        if (marks.size() > kShortRun) {
            std::u32string parts;
            for (const char32_t c : marks)
                decompose(c, parts);
            std::stable_sort(parts.begin(), parts.end(),
                             [](char32_t a, char32_t b) { return combiningClass(a) < combiningClass(b); });
            marks = std::move(parts);
        }
        for (const char32_t c : marks)
            base::appendUtf8(out, c);
        marks.clear();
    };
    for (size_t at = 0; at < text.size();) {
        const char32_t c = base::nextCodePoint(text, at);
        if (combiningClass(c) != 0) {
            marks += c;
            continue;
        }
        flush();
        base::appendUtf8(out, c);
    }
    flush();
    return out;
}

void appendNfc(std::string_view stretch, std::string& out) {
    const std::string sorted = sortLongRuns(stretch);
    utf8proc_uint8_t* made = nullptr;
    const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(sorted.data()),
                                   static_cast<utf8proc_ssize_t>(sorted.size()), &made,
                                   static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(made, std::free);
    CONCLAVE_CHECK(size >= 0);
    out.append(reinterpret_cast<const char*>(made), static_cast<size_t>(size));
}

/// ▁ for each space of a long text: the one replacement that is worth a loop of its own.
std::string replaceByte(std::string_view text, char byte, const std::string& with) {
    const auto count = static_cast<size_t>(std::count(text.begin(), text.end(), byte));
    std::string out;
    out.reserve(text.size() + count * with.size());
    for (const char c : text)
        if (c == byte)
            out.append(with);
        else
            out.push_back(c);
    return out;
}

}  // namespace

std::string toNfc(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    // Stretches that begin with a safe character are independent of each other; those of safe characters
    // alone are done.
    size_t begin = 0;
    bool unsafe = false;
    for (size_t at = 0; at < text.size();) {
        const size_t here = at;
        const char32_t c = base::nextCodePoint(text, at);
        if (c >= kFirstUnsafe) {
            unsafe = true;
            continue;
        }
        if (unsafe)
            appendNfc(text.substr(begin, here - begin), out);
        else
            out.append(text.substr(begin, here - begin));
        begin = here;
        unsafe = false;
    }
    if (unsafe)
        appendNfc(text.substr(begin), out);
    else
        out.append(text.substr(begin));
    return out;
}

base::Result<Normalizer> Normalizer::make(const std::vector<formats::NormalizerStep>& steps,
                                          std::string file) {
    Normalizer made;
    made.file_ = std::move(file);
    for (const formats::NormalizerStep& step : steps) {
        if (const auto* replace = std::get_if<formats::ReplaceStep>(&step)) {
            CONCLAVE_TRY(TextSearch search,
                         TextSearch::compile(replace->pattern, replace->isRegex, made.file_));
            made.steps_.push_back(Replace{std::move(search), replace->content});
        } else if (const auto* prepend = std::get_if<formats::PrependStep>(&step)) {
            made.steps_.push_back(Prepend{prepend->prefix});
        } else {
            made.steps_.push_back(Nfc{});
        }
    }
    return made;
}

base::Result<std::string> Normalizer::replace(const Replace& step, std::string_view text,
                                              size_t limit) const {
    const std::string* literal = step.search.literal();
    if (literal && literal->size() == 1 && step.content.size() <= 3 && text.size() * 3 <= limit)
        return replaceByte(text, literal->front(), step.content);
    std::string out;
    out.reserve(text.size());
    TextSearch::Scan scan = step.search.scratch();
    scan.begin(text);
    size_t done = 0;
    while (done < text.size()) {
        Match match;
        const Search found = step.search.find(scan, done, match);
        if (found == Search::TooLong) return step.search.tooLong(file_);
        if (found == Search::None) break;
        // A pattern that matches nothing (x*) is stepped over: there is nothing to replace.
        size_t next = match.end;
        if (match.end == match.begin) base::nextCodePoint(text, next);
        out.append(text.substr(done, match.begin - done));
        if (match.end > match.begin)
            out.append(step.content);
        else
            out.append(text.substr(match.begin, next - match.begin));
        done = next;
        if (out.size() > limit)
            return Error{Code::LimitExceeded,
                         file_,
                         "normalizer",
                         {"a text of more than " + std::to_string(limit) + " bytes", std::to_string(limit)}};
    }
    out.append(text.substr(std::min(done, text.size())));
    return out;
}

base::Result<std::string> Normalizer::apply(std::string_view text) const {
    std::string now(text);
    if (text.empty()) return now;
    const size_t limit = text.size() * kGrowth + kGrowthAlways;
    for (const auto& step : steps_) {
        if (const auto* replacing = std::get_if<Replace>(&step)) {
            CONCLAVE_TRY(now, replace(*replacing, now, limit));
        } else if (const auto* prepend = std::get_if<Prepend>(&step)) {
            if (!now.empty()) now.insert(0, prepend->prefix);
        } else {
            now = toNfc(now);
        }
    }
    return now;
}

}  // namespace conclave::engine::text
