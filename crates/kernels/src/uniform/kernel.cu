// Random numbers of a stream: one thread for each Philox block, of which it writes what lies in the wanted positions.

struct DrawParameters {
    void *output;             // [count], float or uint
    unsigned long long first; // the first position
    uint threads;
    uint count;
    uint key_0, key_1, id_0, id_1;
};
static_assert(sizeof(DrawParameters) == 40, "as in cuda.rs");

extern "C" __global__ void words(DrawParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    unsigned long long block = p.first / 4 + thread;
    Words words = philox(block, p.id_0, p.id_1, p.key_0, p.key_1);
    for (uint at = 0; at < 4; at++) {
        // Positions before the first wrap around to large numbers.
        unsigned long long place = 4 * block + at - p.first;
        if (place < p.count) ((uint *)p.output)[place] = words.word[at];
    }
}

extern "C" __global__ void uniform(DrawParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    unsigned long long block = p.first / 4 + thread;
    Words words = philox(block, p.id_0, p.id_1, p.key_0, p.key_1);
    for (uint at = 0; at < 4; at++) {
        unsigned long long place = 4 * block + at - p.first;
        if (place < p.count) ((float *)p.output)[place] = (float)(words.word[at] >> 8) * (1.0f / 16777216.0f);
    }
}

// Two Box-Muller pairs in double, narrowed once (base/src/seed.rs).
extern "C" __global__ void normal(DrawParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    unsigned long long block = p.first / 4 + thread;
    Words words = philox(block, p.id_0, p.id_1, p.key_0, p.key_1);
    for (uint pair = 0; pair < 2; pair++) {
        double unit = ((double)words.word[2 * pair] + 1.0) * (1.0 / 4294967296.0);
        double radius = sqrt(-2.0 * log(unit));
        double angle = (double)words.word[2 * pair + 1] * (6.283185307179586 / 4294967296.0);
        for (uint at = 0; at < 2; at++) {
            unsigned long long place = 4 * block + 2 * pair + at - p.first;
            double turned = at == 0 ? cos(angle) : sin(angle);
            if (place < p.count) ((float *)p.output)[place] = (float)(radius * turned);
        }
    }
}
