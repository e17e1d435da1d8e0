// Errors of reconstructions: one thread for each row or each layer of a row; sums in double, in order of the channels.

struct ReconstructionParameters {
    const float *sample;         // [rows, width]
    const float *reconstruction; // [rows, width]
    const uint *spans;           // [layers, 2]: first channel and end of each layer
    double *output;              // [rows, layers]
    double least;                // of the product of two norms
    uint threads;
    uint layers, width;
    uint unused;
};
static_assert(sizeof(ReconstructionParameters) == 56, "as in cuda.rs");

extern "C" __global__ void squared_errors(ReconstructionParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint layer = thread % p.layers;
    uint row = thread / p.layers;
    double sum = 0.0;
    for (uint at = p.spans[2 * layer]; at < p.spans[2 * layer + 1]; at++) {
        double difference = (double)p.sample[row * p.width + at] - (double)p.reconstruction[row * p.width + at];
        sum += difference * difference;
    }
    p.output[thread] = sum;
}

extern "C" __global__ void layer_cosines(ReconstructionParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint layer = thread % p.layers;
    uint row = thread / p.layers;
    double dot = 0.0, squares_a = 0.0, squares_b = 0.0;
    for (uint at = p.spans[2 * layer]; at < p.spans[2 * layer + 1]; at++) {
        double a = p.sample[row * p.width + at];
        double b = p.reconstruction[row * p.width + at];
        dot += a * b;
        squares_a += a * a;
        squares_b += b * b;
    }
    double norms = sqrt(squares_a) * sqrt(squares_b);
    // NaN stays NaN.
    p.output[thread] = dot / (norms < p.least ? p.least : norms);
}
