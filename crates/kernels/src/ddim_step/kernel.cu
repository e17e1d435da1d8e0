// One DDIM step, in place, rounded as on the processor: one thread for each value; for the last step a block of threads for
// each row, which measures the errors of what it writes.

struct DdimParameters {
    float *x;
    const float *x0;
    const float *noise;
    uint threads;
    float state, prediction, fresh;
};
static_assert(sizeof(DdimParameters) == 40, "as in cuda.rs");

extern "C" __global__ void ddim_step(DdimParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    float sum = __fadd_rn(__fmul_rn(p.state, p.x[thread]), __fmul_rn(p.prediction, p.x0[thread]));
    p.x[thread] = __fadd_rn(sum, __fmul_rn(p.fresh, p.noise[thread]));
}

struct ScoredStepParameters {
    float *x;            // [rows, width]
    const float *x0;     // [rows, width]
    const float *noise;  // [rows, width]
    const float *sample; // [rows, width]
    const uint *ends;    // [layers]: where each layer ends; the first begins at 0, each other where the one before ends
    double *squared;     // [rows]
    double *cosines;     // [rows, layers]
    double least;        // of the product of two norms
    uint rows, width, layers;
    float state, prediction, fresh;
};
static_assert(sizeof(ScoredStepParameters) == 88, "as in cuda.rs");

extern "C" __global__ void scored_ddim_step(ScoredStepParameters p) {
    __shared__ double sums[ROW_BLOCK];
    uint first = blockIdx.x * p.width;
    double squared = 0.0;
    uint begin = 0;
    for (uint layer = 0; layer < p.layers; layer++) {
        uint end = p.ends[layer];
        double dot = 0.0, of_sample = 0.0, of_state = 0.0;
        for (uint at = first + begin + threadIdx.x; at < first + end; at += ROW_BLOCK) {
            float sum = __fadd_rn(__fmul_rn(p.state, p.x[at]), __fmul_rn(p.prediction, p.x0[at]));
            float state = __fadd_rn(sum, __fmul_rn(p.fresh, p.noise[at]));
            p.x[at] = state;
            double a = (double)p.sample[at], b = (double)state;
            squared += (a - b) * (a - b);
            dot += a * b;
            of_sample += a * a;
            of_state += b * b;
        }
        dot = add_up(sums, dot);
        of_sample = add_up(sums, of_sample);
        of_state = add_up(sums, of_state);
        if (threadIdx.x == 0) {
            double norms = sqrt(of_sample) * sqrt(of_state);
            p.cosines[blockIdx.x * p.layers + layer] = dot / (norms < p.least ? p.least : norms);
        }
        begin = end;
    }
    squared = add_up(sums, squared);
    if (threadIdx.x == 0) p.squared[blockIdx.x] = squared;
}
