// z-scores: one thread for each layer of a row; sums in double, in order of the channels.

struct ZscoreParameters {
    const float *raw; // [rows, width]
    const uint *ends; // [layers]: one past each layer's last channel
    float *output;    // [rows, width]
    double added;     // to the deviation
    uint threads;
    uint layers, width;
    uint unused;
};
static_assert(sizeof(ZscoreParameters) == 48, "as in cuda.rs");

extern "C" __global__ void zscore(ZscoreParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint layer = thread % p.layers;
    uint row = thread / p.layers;
    uint start = layer == 0 ? 0 : p.ends[layer - 1];
    uint count = p.ends[layer] - start;
    const float *from = p.raw + row * p.width + start;
    float *to = p.output + row * p.width + start;
    double sum = 0.0;
    for (uint at = 0; at < count; at++) sum += (double)from[at];
    double mean = sum / count;
    double squares = 0.0;
    for (uint at = 0; at < count; at++) {
        double difference = (double)from[at] - mean;
        squares += difference * difference;
    }
    double scale = 1.0 / (sqrt(squares / (count - 1.0)) + p.added);
    for (uint at = 0; at < count; at++) to[at] = (float)(((double)from[at] - mean) * scale);
}
