#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/formats/module_pattern.h"

#include <pcre2.h>

#include <memory>

namespace conclave::engine::formats {
namespace {

constexpr size_t kMostBytes = 4096;
constexpr uint32_t kMostSteps = 100'000, kMostHeapKiB = 1024;

struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

std::string reasonOf(int error) {
    PCRE2_UCHAR text[256];
    pcre2_get_error_message(error, text, sizeof text);
    return reinterpret_cast<const char*>(text);
}

}  // namespace

base::Result<bool> meansModule(const std::string& pattern, const std::string& module, const std::string& file,
                               const std::string& field) {
    const auto refuse = [&](const std::string& why) {
        return base::Error{base::Code::ValueOutOfRange, file, field, {"\"" + pattern + "\"", why}};
    };
    if (pattern.size() > kMostBytes) return refuse("a pattern of at most 4096 bytes");
    // Atoms as in Python's re; a pattern cannot reach out of its brackets.
    const std::string whole = "(?:.*\\.)?(?:" + pattern + ")\\z";
    int error = 0;
    PCRE2_SIZE place = 0;
    const std::unique_ptr<pcre2_code, Free> alone(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()),
                                                                pattern.size(), 0, &error, &place, nullptr));
    if (!alone) return refuse(reasonOf(error));
    const std::unique_ptr<pcre2_code, Free> code(pcre2_compile(
        reinterpret_cast<PCRE2_SPTR>(whole.data()), whole.size(), PCRE2_ANCHORED, &error, &place, nullptr));
    if (!code) return refuse(reasonOf(error));
    const std::unique_ptr<pcre2_match_data, Free> data(pcre2_match_data_create(1, nullptr));
    const std::unique_ptr<pcre2_match_context, Free> limits(pcre2_match_context_create(nullptr));
    pcre2_set_match_limit(limits.get(), kMostSteps);
    pcre2_set_heap_limit(limits.get(), kMostHeapKiB);
    const int found = pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(module.data()), module.size(), 0,
                                  0, data.get(), limits.get());
    if (found >= 0) return true;
    if (found == PCRE2_ERROR_NOMATCH) return false;
    return refuse(reasonOf(found));
}

}  // namespace conclave::engine::formats
