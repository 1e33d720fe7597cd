#include "engine/text/unicode_class.h"

#include <utf8proc.h>

#include <algorithm>
#include <memory>

#include "engine/base/result.h"

namespace conclave::engine::text {
namespace {

constexpr char32_t kLast = 0x10FFFF;

// Planes 0 to 3 hold every script there is; the others are no text and not worth a table.
constexpr char32_t kTabled = 0x40000;

uint32_t askCategory(char32_t c) {
    return static_cast<uint32_t>(utf8proc_category(static_cast<utf8proc_int32_t>(c)));
}

/// The general category of a code point, read once from utf8proc: a lookup of one byte in the loops below.
uint32_t categoryOf(char32_t c) {
    static const std::unique_ptr<const uint8_t[]> table = [] {
        auto filled = std::make_unique<uint8_t[]>(kTabled);
        for (char32_t tabled = 0; tabled < kTabled; ++tabled)
            filled[tabled] = static_cast<uint8_t>(askCategory(tabled));
        return std::unique_ptr<const uint8_t[]>(std::move(filled));
    }();
    return c < kTabled ? table[c] : askCategory(c);
}

struct CategoryName {
    std::string_view name;
    uint32_t mask;
};

template <class... C> constexpr uint32_t maskOf(C... categories) {
    return ((uint32_t{1} << categories) | ...);
}

constexpr uint32_t kLetters = maskOf(UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LT,
                                     UTF8PROC_CATEGORY_LM, UTF8PROC_CATEGORY_LO);
constexpr uint32_t kMarks = maskOf(UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_MC, UTF8PROC_CATEGORY_ME);

constexpr CategoryName kCategories[] = {
    {"L", kLetters},
    {"M", kMarks},
    {"N", maskOf(UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NL, UTF8PROC_CATEGORY_NO)},
    {"P", maskOf(UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PD, UTF8PROC_CATEGORY_PS, UTF8PROC_CATEGORY_PE,
                 UTF8PROC_CATEGORY_PI, UTF8PROC_CATEGORY_PF, UTF8PROC_CATEGORY_PO)},
    {"S", maskOf(UTF8PROC_CATEGORY_SM, UTF8PROC_CATEGORY_SC, UTF8PROC_CATEGORY_SK, UTF8PROC_CATEGORY_SO)},
    {"Z", maskOf(UTF8PROC_CATEGORY_ZS, UTF8PROC_CATEGORY_ZL, UTF8PROC_CATEGORY_ZP)},
    {"C", maskOf(UTF8PROC_CATEGORY_CC, UTF8PROC_CATEGORY_CF, UTF8PROC_CATEGORY_CS, UTF8PROC_CATEGORY_CO,
                 UTF8PROC_CATEGORY_CN)},
    {"Lu", maskOf(UTF8PROC_CATEGORY_LU)},
    {"Ll", maskOf(UTF8PROC_CATEGORY_LL)},
    {"Lt", maskOf(UTF8PROC_CATEGORY_LT)},
    {"Lm", maskOf(UTF8PROC_CATEGORY_LM)},
    {"Lo", maskOf(UTF8PROC_CATEGORY_LO)},
    {"Mn", maskOf(UTF8PROC_CATEGORY_MN)},
    {"Mc", maskOf(UTF8PROC_CATEGORY_MC)},
    {"Me", maskOf(UTF8PROC_CATEGORY_ME)},
    {"Nd", maskOf(UTF8PROC_CATEGORY_ND)},
    {"Nl", maskOf(UTF8PROC_CATEGORY_NL)},
    {"No", maskOf(UTF8PROC_CATEGORY_NO)},
    {"Pc", maskOf(UTF8PROC_CATEGORY_PC)},
    {"Pd", maskOf(UTF8PROC_CATEGORY_PD)},
    {"Ps", maskOf(UTF8PROC_CATEGORY_PS)},
    {"Pe", maskOf(UTF8PROC_CATEGORY_PE)},
    {"Pi", maskOf(UTF8PROC_CATEGORY_PI)},
    {"Pf", maskOf(UTF8PROC_CATEGORY_PF)},
    {"Po", maskOf(UTF8PROC_CATEGORY_PO)},
    {"Sm", maskOf(UTF8PROC_CATEGORY_SM)},
    {"Sc", maskOf(UTF8PROC_CATEGORY_SC)},
    {"Sk", maskOf(UTF8PROC_CATEGORY_SK)},
    {"So", maskOf(UTF8PROC_CATEGORY_SO)},
    {"Zs", maskOf(UTF8PROC_CATEGORY_ZS)},
    {"Zl", maskOf(UTF8PROC_CATEGORY_ZL)},
    {"Zp", maskOf(UTF8PROC_CATEGORY_ZP)},
};

// PropList.txt, White_Space.
constexpr std::pair<char32_t, char32_t> kWhiteSpace[] = {
    {0x09, 0x0D},     {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
    {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000},
};

// Other_Alphabetic outside letters, marks and letter numbers (circled and squared letters), and the joiners.
constexpr std::pair<char32_t, char32_t> kWordExtras[] = {
    {0x200C, 0x200D}, {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189},
};

}  // namespace

void UnicodeClass::addRange(char32_t low, char32_t high) {
    for (char32_t c = low; c <= high && c < 128; ++c)
        ascii_.set(c);
    if (high < 128) return;
    if (low < 128) low = 128;
    ranges_.emplace_back(low, high);
    std::sort(ranges_.begin(), ranges_.end());
    size_t kept = 0;
    for (size_t i = 1; i < ranges_.size(); ++i) {
        if (ranges_[i].first <= ranges_[kept].second + 1)
            ranges_[kept].second = std::max(ranges_[kept].second, ranges_[i].second);
        else
            ranges_[++kept] = ranges_[i];
    }
    ranges_.resize(kept + 1);
}

bool UnicodeClass::addCategory(std::string_view name, bool negated) {
    for (const CategoryName& row : kCategories) {
        if (row.name != name) continue;
        const uint32_t mask = negated ? ~row.mask : row.mask;
        categories_ |= mask;
        for (char32_t c = 0; c < 128; ++c)
            if ((mask >> categoryOf(c)) & 1) ascii_.set(c);
        return true;
    }
    return false;
}

void UnicodeClass::addWhiteSpace() {
    for (const auto& [low, high] : kWhiteSpace)
        addRange(low, high);
}

void UnicodeClass::addNotWhiteSpace() {
    char32_t next = 0;
    for (const auto& [low, high] : kWhiteSpace) {
        addRange(next, low - 1);
        next = high + 1;
    }
    addRange(next, kLast);
}

void UnicodeClass::addWord() {
    for (const char* name : {"L", "M", "Nd", "Nl", "Pc"})
        addCategory(name);
    for (const auto& [low, high] : kWordExtras)
        addRange(low, high);
}

void UnicodeClass::unite(const UnicodeClass& other) {
    CONCLAVE_CHECK(!negated_ && !other.negated_);
    ascii_ |= other.ascii_;
    categories_ |= other.categories_;
    for (const auto& [low, high] : other.ranges_)
        addRange(low, high);
}

void UnicodeClass::negate() {
    negated_ = !negated_;
    ascii_.flip();
}

bool UnicodeClass::asciiOnly() const {
    return !negated_ && categories_ == 0 && ranges_.empty();
}

bool UnicodeClass::containsWide(char32_t c) const {
    bool in = ((categories_ >> categoryOf(c)) & 1) != 0;
    if (!in && !ranges_.empty()) {
        const auto after =
            std::upper_bound(ranges_.begin(), ranges_.end(), c,
                             [](char32_t value, const auto& range) { return value < range.first; });
        in = after != ranges_.begin() && c <= std::prev(after)->second;
    }
    return in != negated_;
}

}  // namespace conclave::engine::text
