// Forward noise: one thread for each value, rounded as on the processor.

struct ForwardNoiseParameters {
    const float *z;            // [rows, width]
    const float *noise;        // [rows, width]
    const float *coefficients; // [rows, 2]: of the signal, of the noise
    float *output;             // [rows, width]
    uint threads;
    uint width;
};
static_assert(sizeof(ForwardNoiseParameters) == 40, "as in cuda.rs");

extern "C" __global__ void forward_noise(ForwardNoiseParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint row = thread / p.width;
    float signal = __fmul_rn(p.coefficients[2 * row], p.z[thread]);
    float noise = __fmul_rn(p.coefficients[2 * row + 1], p.noise[thread]);
    p.output[thread] = __fadd_rn(signal, noise);
}
