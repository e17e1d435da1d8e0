// One DDIM step: one thread for each value, in place, rounded as on the processor.

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
