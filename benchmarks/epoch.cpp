// One epoch of the synthetic network (20-64-32-2, ReLU, dropout, Adam), written by hand: the practical limit that
// bbatch/kernel.py is held against. Sizes are compile-time constants, so that sums stay in vector registers.
// Weights lie [in, out], the last layer's [out, in]. Masks are cut from 16 bits each of a SplitMix64 generator.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {
constexpr int D = 20, H1 = 64, H2 = 32, C = 2, PIECE = 32;
constexpr int P = D * H1 + H1 + H1 * H2 + H2 + C * H2 + C;

// out[r] (+)= sum over i < n of x(r, i) * w[i], rows taken R at a time so that sums stay in registers
template <int R, int WIDTH, bool ADD, class X>
inline void rows(X x, const float* __restrict w, float* __restrict out, int first, int n) {
    float sum[R][WIDTH];
    for (int r = 0; r < R; ++r)
        for (int o = 0; o < WIDTH; ++o) sum[r][o] = ADD ? out[(first + r) * WIDTH + o] : 0.f;
    for (int i = 0; i < n; ++i)
        for (int r = 0; r < R; ++r) {
            const float v = x(first + r, i);
            for (int o = 0; o < WIDTH; ++o) sum[r][o] += v * w[i * WIDTH + o];
        }
    for (int r = 0; r < R; ++r)
        for (int o = 0; o < WIDTH; ++o) out[(first + r) * WIDTH + o] = sum[r][o];
}

template <int WIDTH, bool ADD, class X>
inline void product(X x, const float* w, float* out, int m, int n) {
    int r = 0;
    for (; r + 4 <= m; r += 4) rows<4, WIDTH, ADD>(x, w, out, r, n);
    for (; r < m; ++r) rows<1, WIDTH, ADD>(x, w, out, r, n);
}

template <int WIDTH>
inline void activate(float* __restrict a, const float* __restrict bias, const int16_t* __restrict bits, int k,
                     int threshold, float scale) {
    for (int b = 0; b < k; ++b)
        for (int o = 0; o < WIDTH; ++o) {
            const float v = a[b * WIDTH + o] + bias[o];
            a[b * WIDTH + o] = (v > 0) & (bits[b * (H1 + H2) + o] >= threshold) ? v * scale : 0.f;
        }
}

template <int WIDTH>
inline void back(float* __restrict g, const float* __restrict a, float* __restrict db, int k, float scale) {
    for (int b = 0; b < k; ++b)
        for (int o = 0; o < WIDTH; ++o) {
            g[b * WIDTH + o] = a[b * WIDTH + o] != 0 ? g[b * WIDTH + o] * scale : 0.f;
            db[o] += g[b * WIDTH + o];
        }
}
inline void draw(int16_t* out, int n, uint64_t counter) {
    for (int i = 0; i < n; ++i) {
        uint64_t z = (counter + i) * 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        std::memcpy(out + 4 * i, &z, 8);
    }
}
}  // namespace

extern "C" double epoch(float* w, float* m, float* v, const float* x, const int64_t* y, const int64_t* order,
                        int64_t n, int64_t batch, int64_t seed, int64_t steps, double p, double lr,
                        int64_t* correct) {
    alignas(64) static float xs[PIECE * D], a1[PIECE * H1], a2[PIECE * H2], g1[PIECE * H1], g2[PIECE * H2],
        g3[PIECE * C], g[P], wt[H1 * H2];
    alignas(64) static int16_t mask[PIECE * (H1 + H2)];
    float *w1 = w, *c1 = w1 + D * H1, *w2 = c1 + H1, *c2 = w2 + H1 * H2, *w3 = c2 + H2, *c3 = w3 + C * H2;
    float *d1 = g, *e1 = d1 + D * H1, *d2 = e1 + H1, *e2 = d2 + H1 * H2, *d3 = e2 + H2, *e3 = d3 + C * H2;
    const int threshold = int(std::lround(p * 65536)) - 32768;
    const float scale = float(1 / (1 - p));
    double loss = 0;
    *correct = 0;
    for (int64_t start = 0; start < n; start += batch) {
        const int64_t stop = std::min(start + batch, n);
        std::memset(g, 0, sizeof g);
        for (int i = 0; i < H1; ++i)
            for (int o = 0; o < H2; ++o) wt[o * H1 + i] = w2[i * H2 + o];
        for (int64_t at = start; at < stop; at += PIECE) {
            const int k = int(std::min<int64_t>(PIECE, stop - at));
            draw(mask, k * (H1 + H2) / 4, seed + at * (H1 + H2) / 4);
            for (int b = 0; b < k; ++b) std::memcpy(xs + b * D, x + order[at + b] * D, D * sizeof(float));
            product<H1, false>([&](int b, int i) { return xs[b * D + i]; }, w1, a1, k, D);
            activate<H1>(a1, c1, mask, k, threshold, scale);
            product<H2, false>([&](int b, int i) { return a1[b * H1 + i]; }, w2, a2, k, H1);
            activate<H2>(a2, c2, mask + H1, k, threshold, scale);
            for (int b = 0; b < k; ++b) {
                float z[C], e[C], total = 0;
                for (int c = 0; c < C; ++c) {
                    z[c] = c3[c];
                    for (int i = 0; i < H2; ++i) z[c] += a2[b * H2 + i] * w3[c * H2 + i];
                }
                const int best = int(std::max_element(z, z + C) - z), target = int(y[order[at + b]]);
                for (int c = 0; c < C; ++c) total += e[c] = std::exp(z[c] - z[best]);
                loss += std::log(total) - (z[target] - z[best]);
                *correct += best == target;
                for (int c = 0; c < C; ++c) e3[c] += g3[b * C + c] = (e[c] / total - (c == target)) / (stop - start);
            }
            product<H2, true>([&](int c, int b) { return g3[b * C + c]; }, a2, d3, C, k);
            product<H2, false>([&](int b, int c) { return g3[b * C + c]; }, w3, g2, k, C);
            back<H2>(g2, a2, e2, k, scale);
            product<H2, true>([&](int i, int b) { return a1[b * H1 + i]; }, g2, d2, H1, k);
            product<H1, false>([&](int b, int o) { return g2[b * H2 + o]; }, wt, g1, k, H2);
            back<H1>(g1, a1, e1, k, scale);
            product<H1, true>([&](int i, int b) { return xs[b * D + i]; }, g1, d1, D, k);
        }
        ++steps;
        const float size = float(lr / (1 - std::pow(0.9, steps)));
        const float root = float(1 / std::sqrt(1 - std::pow(0.999, steps)));
        for (int i = 0; i < P; ++i) {
            m[i] += 0.1f * (g[i] - m[i]);
            v[i] = 0.999f * v[i] + 0.001f * g[i] * g[i];
            w[i] -= size * m[i] / (std::sqrt(v[i]) * root + 1e-8f);
        }
    }
    return loss;
}
