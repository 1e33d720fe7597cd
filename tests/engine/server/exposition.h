#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace conclave::engine::testing {

/// A metrics text, read as strictly as the format is written.
struct Exposition {
    struct Family {
        std::string type, help;
        std::map<std::string, double> samples;  ///< "name{a=\"b\"}" as it stands, to its value
    };
    std::map<std::string, Family> families;
    std::vector<std::string> faults;  ///< sentences; empty where the text is well formed

    /// The value of a sample without suffix, -1 where there is none.
    double value(const std::string& sample) const;
};

/// Prometheus' text format, version 0.0.4: every family with one HELP, one TYPE and its samples together, no
/// sample twice, valid names and escapes, counters that end in _total and are not negative, histograms that
/// rise to a bucket +Inf equal to their count, a line feed at the end.
Exposition readExposition(std::string_view text);

}  // namespace conclave::engine::testing
