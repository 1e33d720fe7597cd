#include "engine/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace conclave::engine::model {
namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

/// Llama 3's rule: long wavelengths are stretched, short ones kept, those between blended.
double llama3(double frequency, const RopeConfig& rope) {
    const double wavelength = kTwoPi / frequency;
    const double smooth = std::clamp((rope.originalContext / wavelength - rope.lowFreqFactor) /
                                         (rope.highFreqFactor - rope.lowFreqFactor),
                                     0.0, 1.0);
    return frequency / rope.factor * (1 - smooth) + frequency * smooth;
}

/// The pairs between which YaRN's ramp climbs from "kept" to "stretched".
struct Ramp {
    double low, high;
};

Ramp yarnRamp(const RopeConfig& rope) {
    const auto pairOfTurns = [&](double turns) {
        return rope.dim * std::log(rope.originalContext / (turns * kTwoPi)) / (2 * std::log(rope.theta));
    };
    const double low = pairOfTurns(rope.betaFast), high = pairOfTurns(rope.betaSlow);
    return {std::max(rope.truncate ? std::floor(low) : low, 0.0),
            std::min(rope.truncate ? std::ceil(high) : high, rope.dim - 1.0)};
}

}  // namespace

double yarnScale(double factor, double mscale) {
    return factor <= 1 || mscale == 0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

std::vector<double> inverseFrequencies(const RopeConfig& rope) {
    std::vector<double> out(rope.dim / 2);
    const Ramp ramp = rope.scaling == RopeConfig::Scaling::Yarn ? yarnRamp(rope) : Ramp{0, 0};
    for (size_t pair = 0; pair < out.size(); ++pair) {
        double frequency = std::pow(rope.theta, -2.0 * static_cast<double>(pair) / rope.dim);
        if (!rope.divisors.empty()) frequency /= rope.divisors[pair];
        switch (rope.scaling) {
        case RopeConfig::Scaling::None:
            break;
        case RopeConfig::Scaling::Linear:
            frequency /= rope.factor;
            break;
        case RopeConfig::Scaling::Llama3:
            frequency = llama3(frequency, rope);
            break;
        case RopeConfig::Scaling::Yarn: {
            const double stretched = std::clamp(
                (static_cast<double>(pair) - ramp.low) / std::max(ramp.high - ramp.low, 0.001), 0.0, 1.0);
            frequency = frequency / rope.factor * stretched + frequency * (1 - stretched);
            break;
        }
        }
        out[pair] = frequency;
    }
    return out;
}

void fillRope(std::span<const double> frequencies, double factor, std::span<const kernels::RowPlace> places,
              float* cosines, float* sines) {
    for (const kernels::RowPlace& place : places)
        for (const double frequency : frequencies) {
            const double angle = place.position * frequency;
            *cosines++ = static_cast<float>(std::cos(angle) * factor);
            *sines++ = static_cast<float>(std::sin(angle) * factor);
        }
}

}  // namespace conclave::engine::model
